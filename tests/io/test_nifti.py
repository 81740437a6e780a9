"""NIfTI against nibabel and SimpleITK; every damage by name."""

import contextlib
import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from oblique_grids import ORIENTATIONS, grid, marked, place_of_mark

from medcnn.errors import MedcnnError, ReadError
from medcnn.io.find import REASONS, kind_of
from medcnn.io.nifti import read_nifti, write_nifti
from medcnn.io.read import read_film, read_volume

SHAPE = (4, 5, 6)


def saved(path: Path, voxels: np.ndarray, affine: np.ndarray | None = None, **header: object) -> Path:
    """A file written by nibabel; header fields are set last."""
    image = nibabel.Nifti1Image(voxels, grid() if affine is None else affine)
    image.set_sform(image.affine, 1)
    image.set_qform(image.affine, 1)
    for name, value in header.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path


def patched(path: Path, at: int, data: bytes) -> Path:
    """The bytes of an uncompressed file from ``at`` on, replaced."""
    content = bytearray(path.read_bytes())
    content[at : at + len(data)] = data
    path.write_bytes(content)
    return path


def code_of(path: Path) -> str:
    with pytest.raises(ReadError) as caught:
        read_nifti(path)
    assert str(caught.value).startswith(path.name + ": ")
    assert "\n" not in str(caught.value)
    assert caught.value.code in REASONS
    return caught.value.code


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", ">i2", "<u2", ">i4", "<i8", ">f4", "<f8"])
def test_values_and_place_are_those_that_nibabel_reads(tmp_path: Path, dtype: str, suffix: str) -> None:
    voxels = np.arange(120).reshape(SHAPE).astype(dtype) + (0.25 if "f" in dtype else 0)
    image = nibabel.Nifti1Image(voxels.astype(dtype), grid(), dtype=np.dtype(dtype))
    if dtype[0] == ">":
        image = nibabel.Nifti1Image(image.dataobj, image.affine, image.header.as_byteswapped(">"))
    nibabel.save(image, tmp_path / f"a{suffix}")
    volume = read_nifti(tmp_path / f"a{suffix}")
    oracle = nibabel.load(tmp_path / f"a{suffix}")
    assert np.array_equal(volume.voxels, oracle.get_fdata())
    assert np.array_equal(volume.affine, oracle.affine)
    assert volume.voxels.dtype.name in ("uint8", "int16", "uint16", "int32", "float32")
    assert volume.voxels.flags.c_contiguous
    assert volume.sources == (tmp_path / f"a{suffix}",)
    assert volume.flags == ()


def test_an_axis_of_one_voxel_is_told(tmp_path: Path) -> None:
    assert read_nifti(saved(tmp_path / "a.nii", marked()[:, :1])).flags == ("one_slice",)


def test_a_second_version_is_read_and_kept(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti2Image(marked(), grid()), tmp_path / "a.nii.gz")
    volume = read_nifti(tmp_path / "a.nii.gz")
    write_nifti(tmp_path / "b.nii.gz", volume.voxels, volume.affine, like=tmp_path / "a.nii.gz")
    oracle = nibabel.load(tmp_path / "b.nii.gz")
    assert isinstance(oracle, nibabel.Nifti2Image)
    assert np.array_equal(oracle.affine, grid())
    assert np.array_equal(np.asarray(oracle.dataobj), volume.voxels)


@settings(max_examples=40, deadline=None)
@given(
    orientation=st.sampled_from(ORIENTATIONS),
    spacing=st.tuples(*[st.floats(0.3, 6)] * 3),
    degrees=st.tuples(*[st.floats(-40, 40)] * 3),
    at=st.tuples(*[st.integers(0, size - 1) for size in SHAPE]),
)
def test_a_written_voxel_keeps_its_place_for_every_reader(
    tmp_path_factory: pytest.TempPathFactory,
    orientation: tuple[tuple[int, ...], tuple[int, ...]],
    spacing: tuple[float, ...],
    degrees: tuple[float, float, float],
    at: tuple[int, int, int],
) -> None:
    path = tmp_path_factory.mktemp("nifti") / "a.nii.gz"
    affine = grid(*orientation, spacing, degrees)
    truth = affine[:3] @ [*at, 1.0]
    write_nifti(path, marked(SHAPE, at), affine)
    volume = read_nifti(path)
    assert volume.flags == ()
    assert np.allclose(place_of_mark(volume.voxels, volume.affine), truth, atol=1e-4)
    assert np.allclose(volume.spacing_mm, spacing, rtol=1e-5)
    # A qform holds a quaternion in single precision: near half a turn an angle is good to the root of its epsilon.
    arm = np.linalg.norm(truth - affine[:3, 3])
    angle = 2 * np.sqrt(np.finfo(np.float32).eps)
    assert np.allclose(nibabel.load(path).get_qform()[:3] @ [*at, 1.0], truth, atol=1e-4 + angle * arm)
    image = sitk.ReadImage(str(path))
    index = np.unravel_index(np.argmax(sitk.GetArrayViewFromImage(image)), SHAPE[::-1])[::-1]
    in_lps = image.TransformIndexToPhysicalPoint([int(one) for one in index])
    assert np.allclose(in_lps * np.array([-1, -1, 1]), truth, atol=1e-3)


def test_the_sform_is_used_where_the_qform_disagrees_and_the_reader_is_told(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(marked(), grid())
    image.set_qform(grid(origin=(0.0, 0.0, 0.0)), 1)
    image.set_sform(grid(), 4)
    nibabel.save(image, tmp_path / "a.nii")
    volume = read_nifti(tmp_path / "a.nii")
    assert volume.flags == ("qform_sform_disagree",)
    assert np.allclose(volume.affine, grid(), atol=1e-5)


def test_the_qform_is_used_where_there_is_no_sform(tmp_path: Path) -> None:
    volume = read_nifti(patched(saved(tmp_path / "a.nii", marked()), 254, bytes(2)))
    assert np.allclose(volume.affine, grid(), atol=1e-4)
    assert volume.flags == ()


def test_sizes_alone_give_the_place_of_nibabel_and_a_flag(tmp_path: Path) -> None:
    path = patched(saved(tmp_path / "a.nii", marked()), 252, bytes(4))
    assert read_nifti(path).flags == ("no_orientation",)
    assert np.allclose(read_nifti(path).affine, nibabel.load(path).affine)


@pytest.mark.parametrize(("slope", "inter"), [(0.5, 0.0), (2.0, -1024.0), (0.001, 3.5), (1.0, 0.0), (0.0, 7.0)])
def test_the_scale_of_the_header_is_applied(tmp_path: Path, slope: float, inter: float) -> None:
    path = patched(saved(tmp_path / "a.nii", marked()), 112, np.array([slope, inter], "<f4").tobytes())
    volume = read_nifti(path)
    assert np.array_equal(volume.voxels, nibabel.load(path).get_fdata().astype(np.float32))
    assert volume.voxels.dtype == (np.int16 if slope in (0.0, 1.0) else np.float32)


def test_voxels_that_are_no_number_are_kept_and_told(tmp_path: Path) -> None:
    voxels = marked().astype(np.float32) / 3
    voxels[0, 0, 0], voxels[1, 2, 3] = np.nan, np.inf
    volume = read_nifti(saved(tmp_path / "a.nii.gz", voxels))
    assert np.array_equal(volume.voxels, voxels, equal_nan=True)
    assert volume.flags == ("non_finite",)


def test_a_fourth_dimension_of_one_is_none(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.nii.gz", marked()[..., None])
    assert np.array_equal(read_nifti(path).voxels, marked())
    write_nifti(tmp_path / "b.nii.gz", marked(), read_nifti(path).affine, like=path)


COMPLEX = np.ones(SHAPE, np.complex64)
COLOR = np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")])


@pytest.mark.parametrize(
    ("voxels", "code"),
    [(np.zeros((*SHAPE, 2), np.int16), "several_volumes"), (COMPLEX, "unsupported_values"),
     (COLOR, "unsupported_values"), (np.zeros((*SHAPE, 1, 3), np.float32), "several_volumes")],
)  # fmt: skip
def test_what_is_no_single_volume_of_numbers_is_refused_by_name(tmp_path: Path, voxels: np.ndarray, code: str) -> None:
    assert code_of(saved(tmp_path / "a.nii.gz", voxels)) == code


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_truncated_file_tells_the_bytes_expected_and_found(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(7).integers(0, 1000, (20, 21, 22)).astype(np.int16)
    path = saved(tmp_path / f"a{suffix}", noise)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert code_of(path) == "truncated"
    with pytest.raises(ReadError, match=r"expected .*\d+ bytes.*found \d+|expected .*the file has \d+"):
        read_nifti(path)


def test_a_gzip_without_its_checksum_or_with_a_wrong_one_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.nii.gz", marked())
    content = path.read_bytes()
    path.write_bytes(content[:-8])
    assert code_of(path) == "truncated"
    path.write_bytes(content[:-8] + bytes(4) + content[-4:])
    assert code_of(path) == "decode_failed"


@pytest.mark.parametrize(
    ("at", "data", "code"),
    [
        (42, np.array([30000] * 3, "<i2").tobytes(), "too_large"),
        (42, np.array([700] * 3, "<i2").tobytes(), "truncated"),
        (42, np.array([-4, 5, 6], "<i2").tobytes(), "bad_header"),
        (108, np.array([np.nan], "<f4").tobytes(), "bad_header"),
        (70, np.array([1], "<i2").tobytes(), "unsupported_values"),
        (280, bytes(16), "no_geometry"),
        (280, np.array([np.nan] * 4, "<f4").tobytes(), "no_geometry"),
        (344, b"ni1\0", "header_and_image_apart"),
        (344, b"abc\0", "not_an_image"),
    ],
)
def test_a_header_that_says_the_impossible_is_refused_before_memory_is_asked_for(
    tmp_path: Path, at: int, data: bytes, code: str
) -> None:
    assert code_of(patched(saved(tmp_path / "a.nii", marked()), at, data)) == code


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, 351), value=st.integers(0, 255), packed=st.booleans())
def test_a_damaged_header_gives_a_volume_or_a_read_error_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: int, packed: bool
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    path = patched(saved(folder / "a.nii", marked()), at, bytes([value]))
    if packed:
        path = folder / "a.nii.gz"
        path.write_bytes(gzip.compress((folder / "a.nii").read_bytes()))
    with contextlib.suppress(ReadError):
        assert read_nifti(path).voxels.ndim == 3


def test_a_nifti_is_known_by_its_bytes_whatever_the_file_is_called(tmp_path: Path) -> None:
    for name, kind in (("a.nii", nibabel.Nifti1Image), ("b.nii.gz", nibabel.Nifti2Image)):
        nibabel.save(kind(marked(), grid()), tmp_path / name)
        disguised = (tmp_path / name).rename(tmp_path / f"{name[0]}.png")
        assert kind_of(disguised) == "nifti"
        assert np.array_equal(read_volume(disguised).voxels, marked())
        with pytest.raises(ReadError) as caught:
            read_film(disguised)
        assert caught.value.code == "volume"
    (tmp_path / "c.nii.gz").write_bytes(gzip.compress(b"words" * 100))
    assert kind_of(tmp_path / "c.nii.gz") == "unknown"


@pytest.mark.parametrize("codes", [(1, 1), (2, 4), (0, 4), (1, 0), (0, 0)])
def test_what_is_written_like_a_file_has_its_forms_codes_and_units_to_the_bit(
    tmp_path: Path, codes: tuple[int, int]
) -> None:
    source = saved(tmp_path / "a.nii", marked(), xyzt_units=10)
    patched(source, 252, np.array(codes, "<i2").tobytes())
    volume = read_nifti(source)
    write_nifti(tmp_path / "b.nii", volume.voxels > 50, volume.affine, like=source)
    before, after = nibabel.load(source).header, nibabel.load(tmp_path / "b.nii").header
    for name in ("qform_code", "sform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "quatern_c", "quatern_d",
                 "qoffset_x", "qoffset_y", "qoffset_z", "xyzt_units"):  # fmt: skip
        assert np.array_equal(before[name], after[name]), name
    assert np.array_equal(before["pixdim"][:4], after["pixdim"][:4])
    assert after.get_data_dtype() == np.uint8


@pytest.mark.parametrize(
    ("given_as", "stored_as"),
    [("bool", "u1"), ("u1", "u1"), ("i2", "i2"), ("u2", "u2"), ("i4", "i4"), ("f4", "f4"), ("i8", "u1"), ("f8", "f8")],
)
def test_the_kind_of_number_is_kept(tmp_path: Path, given_as: str, stored_as: str) -> None:
    voxels = (np.arange(120).reshape(SHAPE) % 7).astype(given_as)
    write_nifti(tmp_path / "a.nii.gz", voxels, grid())
    stored = nibabel.load(tmp_path / "a.nii.gz")
    assert stored.get_data_dtype() == np.dtype(stored_as)
    assert np.array_equal(np.asarray(stored.dataobj), voxels)


def test_a_sheared_place_is_written_without_a_qform_that_would_deny_it(tmp_path: Path) -> None:
    sheared = grid() @ np.array([[1, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    write_nifti(tmp_path / "a.nii", marked(), sheared)
    assert read_nifti(tmp_path / "a.nii").flags == ("sheared",)
    assert np.allclose(read_nifti(tmp_path / "a.nii").affine, sheared, atol=1e-5)


def test_the_same_volume_is_the_same_file_and_no_draft_is_left(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.nii.gz"):
        write_nifti(tmp_path / name, marked(), grid())
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.nii.gz", "b.nii.gz"]


def test_another_shape_or_place_than_that_of_the_source_is_refused(tmp_path: Path) -> None:
    source = saved(tmp_path / "a.nii.gz", marked())
    with pytest.raises(MedcnnError, match=r"a.nii.gz: expected voxels \(4, 5, 6\)"):
        write_nifti(tmp_path / "b.nii.gz", marked((6, 5, 4), (1, 1, 1)), grid(), like=source)
    with pytest.raises(MedcnnError, match="elsewhere"):
        write_nifti(tmp_path / "b.nii.gz", marked(), grid(origin=(0.0, 0.0, 1.0)), like=source)
    assert not (tmp_path / "b.nii.gz").exists()


@pytest.mark.parametrize(
    "change",
    [lambda voxels: (voxels[0], grid()), lambda voxels: (voxels * 1j, grid()), lambda voxels: (voxels, np.eye(3))],
)
def test_what_is_no_volume_is_a_mistake_of_the_caller(
    tmp_path: Path, change: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
) -> None:
    with pytest.raises(ValueError, match="expected"):
        write_nifti(tmp_path / "a.nii", *change(marked()))
    with pytest.raises(ValueError, match=r"\.nii or \.nii\.gz"):
        write_nifti(tmp_path / "a.img", marked(), grid())
    with pytest.raises(MedcnnError, match="cannot be written"):
        write_nifti(tmp_path / "absent" / "a.nii", marked(), grid())


@pytest.mark.data
def test_real_heads_and_labels_are_read_as_nibabel_reads_them(shared_data: Path) -> None:
    paths = [
        *sorted((shared_data / "heads").glob("*.nii.gz")),
        *sorted((shared_data / "hippocampus").glob("*/*_00*.gz")),
    ]
    assert paths
    for path in paths:
        volume, oracle = read_nifti(path), nibabel.load(path)
        assert np.array_equal(volume.voxels, oracle.get_fdata(dtype=np.float32)), path.name
        assert np.array_equal(volume.affine, oracle.affine), path.name


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1.0), ("micron", 1000.0), ("meter", 0.001), ("unknown", 1.0)])
@pytest.mark.parametrize("forms", ["both", "qform", "sform", "neither"])
def test_lengths_are_millimeters_whatever_their_unit(tmp_path: Path, unit: str, factor: float, forms: str) -> None:
    affine = np.diag([2.5, 0.9, 0.7, 1.0]) if forms == "neither" else grid()
    scaled = affine.copy()
    scaled[:3] *= factor
    image = nibabel.Nifti1Image(marked(), scaled)
    image.set_qform(scaled, 1 if forms in ("both", "qform") else 0)
    image.set_sform(scaled, 1 if forms in ("both", "sform") else 0)
    image.header.set_xyzt_units(unit, "msec")
    nibabel.save(image, tmp_path / "a.nii.gz")
    volume = read_nifti(tmp_path / "a.nii.gz")
    assert volume.spacing_mm == pytest.approx((2.5, 0.9, 0.7), rel=1e-4)
    assert volume.spacing_mm == pytest.approx(sitk.ReadImage(str(tmp_path / "a.nii.gz")).GetSpacing(), rel=1e-4)
    write_nifti(tmp_path / "mask.nii.gz", marked(), volume.affine, like=tmp_path / "a.nii.gz")
    mask = nibabel.load(tmp_path / "mask.nii.gz")
    assert mask.header.get_zooms() == pytest.approx((2.5, 0.9, 0.7), rel=1e-4)
    assert np.allclose(read_nifti(tmp_path / "mask.nii.gz").affine, volume.affine, atol=1e-3)


def test_implausible_sizes_without_a_unit_are_flagged(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(marked(), np.diag([2500.0, 900.0, 700.0, 1.0]))
    image.header.set_xyzt_units("unknown")
    nibabel.save(image, tmp_path / "a.nii")
    assert "implausible_spacing" in read_nifti(tmp_path / "a.nii").flags
    patched(tmp_path / "a.nii", 123, bytes([5]))
    assert code_of(tmp_path / "a.nii") == "bad_header"


def test_an_empty_giant_is_refused_before_it_is_inflated(tmp_path: Path) -> None:
    header = nibabel.Nifti1Header()
    header.set_data_shape((512, 512, 2048))
    header.set_data_dtype(np.float64)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(1 << 22)))
    assert code_of(tmp_path / "a.nii.gz") == "too_large"
    header.set_data_dtype(np.int32)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(1 << 22)))
    assert code_of(tmp_path / "a.nii.gz") == "bomb"
