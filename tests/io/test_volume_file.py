"""Volumes of other formats lie where SimpleITK and nibabel put them, within limits, or are refused with advice."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from oblique_grids import grid, marked, places

from medcnn.errors import ReadError
from medcnn.io.dicom_write import write_film
from medcnn.io.find import REASONS
from medcnn.io.find_volumes import find_volumes
from medcnn.io.limits import check_voxels
from medcnn.io.read import read_film, read_volume
from medcnn.io.volume_file import like_file

ITK = ("nrrd", "nhdr", "mha", "mhd")
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def image_of(voxels: np.ndarray, affine: np.ndarray) -> sitk.Image:
    lps = LPS_TO_RAS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels.T))
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image


def code_of(path: Path) -> str:
    with pytest.raises(ReadError) as caught:
        read_volume(path)
    assert caught.value.code in REASONS
    assert str(caught.value).startswith(path.name)
    assert str(path.parent) not in str(caught.value)
    return caught.value.code


@pytest.mark.parametrize("suffix", ITK)
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8"])
def test_itk_formats_keep_values_and_place(tmp_path: Path, suffix: str, packed: bool, dtype: str) -> None:
    voxels = (marked() % 200).astype(dtype)
    path = tmp_path / f"a.{suffix}"
    sitk.WriteImage(image_of(voxels, grid()), str(path), packed)
    volume = read_volume(path)
    assert np.allclose(places(volume.voxels, volume.affine), places(voxels, grid()), atol=1e-4)
    assert volume.flags == ()
    assert like_file(volume) is None


@pytest.mark.parametrize("suffix", ["mgh", "mgz"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4"])
def test_freesurfer_volumes_keep_values_and_place(tmp_path: Path, suffix: str, dtype: str) -> None:
    voxels = (marked() % 200).astype(dtype)
    path = tmp_path / f"a.{suffix}"
    nibabel.save(nibabel.MGHImage(voxels, grid()), path)
    volume = read_volume(path)
    assert np.array_equal(volume.voxels, voxels)
    assert np.allclose(volume.affine, nibabel.load(path).affine, atol=1e-6)
    path.write_bytes(path.read_bytes()[:-30])
    assert code_of(path) == "truncated"


def test_a_freesurfer_volume_without_directions_is_flagged(tmp_path: Path) -> None:
    nibabel.save(nibabel.MGHImage(marked(), grid()), tmp_path / "a.mgh")
    data = bytearray((tmp_path / "a.mgh").read_bytes())
    data[28:30] = b"\0\0"
    (tmp_path / "a.mgh").write_bytes(data)
    assert "no_orientation" in read_volume(tmp_path / "a.mgh").flags


@pytest.mark.parametrize("suffix", ["nrrd", "mha"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_shortened_itk_file_is_refused(tmp_path: Path, suffix: str, packed: bool) -> None:
    path = tmp_path / f"a.{suffix}"
    sitk.WriteImage(
        image_of(np.random.default_rng(0).integers(0, 99, (9, 8, 7)).astype(np.int16), grid()), str(path), packed
    )
    path.write_bytes(path.read_bytes()[:-40])
    assert code_of(path) in ("truncated", "bad_header")


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret.raw", "slice%03d.raw 1 3 1", "LIST", "absent.raw"])
def test_a_header_names_no_file_elsewhere(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.raw").write_bytes(bytes(240))
    text = "ObjectType = Image\nNDims = 3\nDimSize = 4 5 6\nElementType = MET_SHORT\nElementSpacing = 1 1 1\n"
    (tmp_path / "in" / "a.mhd").write_text(f"{text}ElementDataFile = {name}\n")
    assert code_of(tmp_path / "in" / "a.mhd") == "header_and_image_apart"


@pytest.mark.parametrize(("suffix", "ending"), [("nrrd", "\n\n"), ("mha", "")])
def test_a_huge_announcement_is_refused_before_it_is_read(tmp_path: Path, suffix: str, ending: str) -> None:
    nrrd = "NRRD0004\ntype: short\ndimension: 3\nsizes: 9000 9000 9000\nendian: little\nencoding: gzip\n" + ending
    meta = (
        "ObjectType = Image\nNDims = 3\nCompressedData = True\nCompressedDataSize = 9\nDimSize = 9000 9000 9000\n"
        "ElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    )
    path = tmp_path / f"a.{suffix}"
    path.write_bytes((nrrd if suffix == "nrrd" else meta).encode() + bytes(9))
    assert code_of(path) == "too_large"


def test_color_time_and_planes_are_no_volume(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.Image([4, 5, 6], sitk.sitkVectorUInt8, 3), str(tmp_path / "rgb.nrrd"))
    sitk.WriteImage(sitk.Image([4, 5, 6, 2], sitk.sitkInt16), str(tmp_path / "time.mha"))
    sitk.WriteImage(sitk.Image([4, 5], sitk.sitkInt16), str(tmp_path / "plane.mha"))
    nibabel.save(nibabel.MGHImage(np.zeros((3, 4, 5, 2), np.int16), np.eye(4)), tmp_path / "time.mgz")
    names = ("rgb.nrrd", "time.mha", "plane.mha", "time.mgz")
    codes = ["unsupported_values", "several_volumes", "film", "several_volumes"]
    assert [code_of(tmp_path / name) for name in names] == codes
    with pytest.raises(ReadError, match="a NRRD or MetaImage volume; expected a film"):
        read_film(tmp_path / "rgb.nrrd")


def test_a_cohort_finds_volumes_of_every_format(tmp_path: Path) -> None:
    nibabel.save(nibabel.MGHImage(marked(), grid()), tmp_path / "a.mgz")
    sitk.WriteImage(image_of(marked(), grid()), str(tmp_path / "b.nrrd"))
    (tmp_path / "notes.txt").write_text("words")
    assert find_volumes(tmp_path) == ([tmp_path / "a.mgz", tmp_path / "b.nrrd"], 1)


def test_archives_are_to_unpack_and_other_formats_to_convert(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film", np.zeros((4, 5), np.uint16)) or tmp_path / "film"
    (tmp_path / "a.dcm.gz").write_bytes(gzip.compress(Path(film).read_bytes()))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.nii", "x")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("a.nii"), io.BytesIO())
    (tmp_path / "a.tgz").write_bytes(gzip.compress((tmp_path / "a.tar").read_bytes()))
    (tmp_path / "a.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(40))
    assert {code_of(tmp_path / f"a.{one}") for one in ("dcm.gz", "zip", "tar", "tgz", "7z")} == {"archive"}
    nibabel.save(nibabel.Spm99AnalyzeImage(marked(), np.eye(4)), tmp_path / "b.img")
    np.save(tmp_path / "b.npy", marked())
    (tmp_path / "b.rec").write_bytes(bytes(range(256)))
    (tmp_path / "b.par").write_text("# === DATA DESCRIPTION FILE ===")
    assert {code_of(tmp_path / f"b.{one}") for one in ("img", "hdr", "mat", "npy", "rec", "par")} == {"convert"}
    (tmp_path / "c.txt").write_text("words")
    assert code_of(tmp_path / "c.txt") == "not_an_image"


def test_limits_are_absolute_and_relative_to_a_compressed_file() -> None:
    check_voxels((512, 512, 2048), 4)
    check_voxels((512, 512, 900), 2, packed_bytes=1)
    for shape, itemsize, packed, code in (
        ((512, 512, 2049), 1, None, "too_large"),
        ((512, 512, 2048), 8, None, "too_large"),
        ((1 << 40, 1 << 40, 1), 1, None, "too_large"),
        ((512, 512, 2048), 4, 4 << 20, "bomb"),
    ):
        with pytest.raises(ReadError) as caught:
            check_voxels(shape, itemsize, packed)
        assert caught.value.code == code
