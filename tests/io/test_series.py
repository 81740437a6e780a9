"""Series on planted oblique grids: the affine is the truth, other readers agree, or the series is refused by name."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from oblique_grids import ORIENTATIONS, grid, marked, places
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from medcnn.errors import ReadError
from medcnn.io.dicom_write import write_film
from medcnn.io.find import REASONS
from medcnn.io.read import read_volume
from medcnn.io.series import SeriesFound, find_series, read_series
from medcnn.io.series_write import write_series
from medcnn.io.slice_header import slices_in

UID = "1.2.826.0.1.3680043.8.498.1"
FRAME = "1.2.826.0.1.3680043.8.498.2"


def changed(path: Path, change: Callable[[Dataset], Any]) -> None:
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)


def only(found: SeriesFound) -> str:
    """The code with which the one series is refused; its sentence names the pseudonym and no path."""
    (series,) = found.series
    with pytest.raises(ReadError) as caught:
        read_series(series)
    assert str(caught.value).startswith(f"series {series.name}: ")
    assert "/" not in str(caught.value)
    assert caught.value.code in REASONS
    return caught.value.code


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
def test_in_every_orientation_each_voxel_lies_where_it_was_planted(
    tmp_path: Path, orientation: tuple[tuple[int, ...], tuple[int, ...]]
) -> None:
    affine, voxels = grid(*orientation), marked((3, 4, 5), (1, 2, 3))
    write_series(tmp_path, voxels, affine)
    volume = read_volume(tmp_path)
    assert np.allclose(places(volume.voxels, volume.affine), places(voxels, affine), atol=1e-6)
    assert np.allclose(volume.spacing_mm, (2.5, 0.9, 0.7))
    assert np.allclose(volume.affine[:, 1:3], affine[:, 1:3]), "rows and columns keep their order"
    across, down, normal = volume.affine[:3, 2], volume.affine[:3, 1], volume.affine[:3, 0]
    assert np.cross(across, down) @ normal > 0, "slices ascend along the normal"
    assert volume.flags == ()
    assert volume.voxels.flags.c_contiguous


def test_highdicom_and_simpleitk_read_the_same_place(tmp_path: Path) -> None:
    paths = write_series(tmp_path, marked((6, 5, 4), (2, 1, 3)), grid())
    volume = read_volume(tmp_path)
    other = highdicom.get_volume_from_series([pydicom.dcmread(path) for path in paths])
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])
    assert np.allclose(places(other.array, to_ras @ other.affine), places(volume.voxels, volume.affine), atol=1e-5)
    image = sitk.ReadImage([str(path) for path in volume.sources])
    assert np.array_equal(sitk.GetArrayFromImage(image), volume.voxels)
    for index in ((0, 0, 0), (5, 4, 3), (2, 0, 3)):
        lps = image.TransformIndexToPhysicalPoint(index[::-1])
        assert np.allclose((to_ras @ [*lps, 1])[:3], volume.affine[:3] @ [*index, 1], atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_neither_names_nor_instance_numbers_decide_the_order(tmp_path: Path, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(6)
    voxels = marked((6, 5, 4), (2, 1, 3))
    names = [f"{at}.dcm" for at in order]
    paths = write_series(tmp_path, voxels, grid(), names=names, InstanceNumber=lambda index: 6 - index)
    volume = read_volume(tmp_path)
    assert np.allclose(places(volume.voxels, volume.affine), places(voxels, grid()), atol=1e-6)
    assert list(volume.sources) in (paths, paths[::-1])


def test_spacing_is_that_of_the_positions_not_the_thickness(tmp_path: Path) -> None:
    write_series(tmp_path, marked(), grid(), SliceThickness="2.0", SpacingBetweenSlices="0.5")
    volume = read_volume(tmp_path)
    assert volume.spacing_mm[0] == pytest.approx(2.5)
    assert volume.flags == ("spacing_disagrees",)


def test_a_missing_slice_is_refused_with_numbers_and_names(tmp_path: Path) -> None:
    write_series(tmp_path, marked((6, 5, 4), (2, 1, 3)), grid())[3].unlink()
    found = find_series(tmp_path)
    assert only(found) == "gaps"
    with pytest.raises(ReadError, match=r"2\.50 to 5\.00 mm.*000[24]\.dcm and 000[24]\.dcm"):
        read_series(found.series[0])


def test_a_copy_is_skipped_and_another_image_at_its_place_refused(tmp_path: Path) -> None:
    paths = write_series(tmp_path, marked(), grid())
    shutil.copy(paths[1], tmp_path / "again.dcm")
    found = find_series(tmp_path)
    assert [(path.name, code) for path, code, _ in found.skipped] == [("again.dcm", "copy")]
    assert np.array_equal(np.sort(read_series(found.series[0]).voxels, axis=None), np.sort(marked(), axis=None))
    changed(tmp_path / "again.dcm", lambda dataset: setattr(dataset, "SOPInstanceUID", generate_uid()))
    assert only(find_series(tmp_path)) == "duplicate_position"
    with pytest.raises(ReadError, match=r"0001\.dcm and again\.dcm|again\.dcm and 0001\.dcm"):
        read_series(find_series(tmp_path).series[0])


def together(folder: Path, *parts: tuple[np.ndarray, np.ndarray, dict[str, Any]]) -> SeriesFound:
    """Several stacks of slices that all say they are of one series."""
    for number, (voxels, affine, elements) in enumerate(parts):
        names = [f"{number}_{index}.dcm" for index in range(len(voxels))]
        given = {"series_uid": UID, "study_uid": UID, "frame_of_reference": FRAME, **elements}
        write_series(folder, voxels, affine, names=names, **given)
    return find_series(folder)


ACROSS = grid((0, 1, 2), (1, 1, 1))
APART = [
    ("a localizer across", marked((3, 5, 6), (1, 1, 1)), ACROSS, {}),
    ("another size", marked((4, 7, 6), (0, 1, 1)), grid(), {}),
    ("another spacing", marked((4, 5, 6)) + 1, grid(spacing=(2.5, 0.9, 0.8)), {}),
    ("a second echo", marked() + 1, grid(), {"EchoNumbers": "2", "EchoTime": "80"}),
    ("a second echo by its time alone", marked() + 1, grid(), {"EchoTime": "4.9"}),
    ("a phase image", marked() + 1, grid(), {"ImageType": ["ORIGINAL", "PRIMARY", "P"]}),
    ("another frame of reference", marked() + 1, grid(), {"frame_of_reference": UID}),
    ("a second acquisition", marked() + 1, grid(), {"AcquisitionNumber": "2"}),
    ("a part of a second acquisition", marked((2, 5, 6), (1, 1, 1)), grid(), {"AcquisitionNumber": "2"}),
    ("a second time", marked() + 1, grid(), {"TemporalPositionIdentifier": "2"}),
    ("another b-value", marked() + 1, grid(), {"DiffusionBValue": 1000.0}),
    ("an acquisition between the slices", marked() + 1, grid(origin=(-31.0, 18.0, 9.0)), {"AcquisitionNumber": "2"}),
]


@pytest.mark.parametrize(("voxels", "affine", "elements"), [one[1:] for one in APART], ids=[one[0] for one in APART])
def test_what_is_mixed_into_a_series_is_split_off_and_averaged_in_nowhere(
    tmp_path: Path, voxels: np.ndarray, affine: np.ndarray, elements: dict[str, Any]
) -> None:
    first = {"EchoNumbers": "1", "EchoTime": "20", "AcquisitionNumber": "1", "TemporalPositionIdentifier": "1"}
    if "alone" in str(elements) or elements == {"EchoTime": "4.9"}:
        first["EchoTime"] = "2.46"
    second = {**first, **elements}
    found = together(tmp_path, (marked(), grid(), first), (voxels, affine, second))
    assert found.skipped == []
    assert len(found.series) == 2
    assert len({series.name for series in found.series}) == 2
    read = [read_series(series) for series in found.series]
    read.sort(key=lambda volume: volume.sources[0].name)
    for volume, (values, place) in zip(read, ((marked(), grid()), (voxels, affine)), strict=True):
        assert np.allclose(places(volume.voxels, volume.affine), places(values, place), atol=1e-6)


def test_half_a_step_between_two_acquisitions_is_no_finer_series(tmp_path: Path) -> None:
    shifted = grid()
    shifted[:3, 3] += grid()[:3, 0] / 2
    found = together(
        tmp_path,
        (marked(), grid(), {"AcquisitionNumber": "1"}),
        (marked() + 1, shifted, {"AcquisitionNumber": "2"}),
    )
    assert [series.count for series in found.series] == [4, 4]


def test_two_acquisitions_that_follow_each_other_are_one_series(tmp_path: Path) -> None:
    voxels = marked((8, 5, 6))
    after = grid()
    after[:3, 3] += 4 * grid()[:3, 0]
    found = together(
        tmp_path,
        (voxels[:4], grid(), {"AcquisitionNumber": "1"}),
        (voxels[4:], after, {"AcquisitionNumber": "2"}),
    )
    (series,) = found.series
    volume = read_series(series)
    assert np.allclose(places(volume.voxels, volume.affine), places(voxels, grid()), atol=1e-6)


def test_what_no_mark_tells_apart_is_refused(tmp_path: Path) -> None:
    assert only(together(tmp_path, (marked(), grid(), {}), (marked() + 1, grid(), {}))) == "duplicate_position"


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_a_slice_without_geometry_refuses_its_series_by_name(tmp_path: Path, keyword: str) -> None:
    paths = write_series(tmp_path, marked(), grid())
    changed(paths[2], lambda dataset: dataset.pop(keyword))
    found = find_series(tmp_path)
    assert only(found) == "no_geometry"
    with pytest.raises(ReadError, match=rf"1 of 4 slices lack {keyword} \(first 0002\.dcm\)"):
        read_series(found.series[0])


def test_a_tilted_gantry_is_refused_with_its_degrees(tmp_path: Path) -> None:
    tilted = grid()
    normal, down = tilted[:3, 0] / 2.5, tilted[:3, 1] / 0.9
    tilted[:3, 0] = 2.5 * (normal + np.tan(np.radians(12)) * down)
    write_series(tmp_path, marked(), tilted)
    with pytest.raises(ReadError, match=r"12\.0 degrees off their normal"):
        read_volume(tmp_path)
    assert only(find_series(tmp_path)) == "gantry_tilt"


def test_slices_shifted_against_each_other_are_refused(tmp_path: Path) -> None:
    paths = write_series(tmp_path, marked((6, 5, 4), (2, 1, 3)), grid())
    across = grid()[:3, 2] * (-1, -1, 1)

    def shift(dataset: Dataset) -> None:
        dataset.ImagePositionPatient = [float(f"{one:.6f}") for one in dataset.ImagePositionPatient + 2 * across]

    changed(paths[2], shift)
    assert only(find_series(tmp_path)) == "not_aligned"


def test_positions_rounded_by_their_writer_are_still_even(tmp_path: Path) -> None:
    positions = grid()[:3, 3] + np.arange(40)[:, None] * grid()[:3, 0]
    rounded = [[f"{one:.2f}" for one in position * (-1, -1, 1)] for position in positions]
    write_series(tmp_path, marked((40, 3, 2), (1, 1, 1)), grid(), ImagePositionPatient=lambda index: rounded[index])
    volume = read_volume(tmp_path)
    order = slice(None) if volume.affine[:3, 0] @ grid()[:3, 0] > 0 else slice(None, None, -1)
    found = (volume.affine[:3, :1] * np.arange(40) + volume.affine[:3, 3:]).T[order]
    assert np.abs(found - positions).max() < 0.02


def test_a_single_slice_is_as_thick_as_it_says_or_refused(tmp_path: Path) -> None:
    write_series(tmp_path, marked((1, 5, 6), (0, 1, 1)), grid(), SliceThickness="3.5")
    volume = read_volume(tmp_path)
    assert volume.spacing_mm[0] == pytest.approx(3.5)
    assert volume.flags == ("one_slice",)
    changed(tmp_path / "0000.dcm", lambda dataset: dataset.pop("SliceThickness"))
    assert only(find_series(tmp_path)) == "no_geometry"


SYNTAXES = ("1.2", "1.2.2", "1.2.5", "1.2.1.99", "1.2.4.80", "1.2.4.90")


@pytest.mark.parametrize("syntax", [f"1.2.840.10008.{end}" for end in SYNTAXES])
def test_every_encoding_gives_the_same_volume(tmp_path: Path, syntax: str) -> None:
    voxels = np.random.default_rng(3).integers(0, 4096, (4, 16, 20)).astype(np.uint16)
    write_series(tmp_path, voxels, grid(), transfer_syntax=syntax, bits_stored=12)
    volume = read_volume(tmp_path)
    assert np.allclose(places(volume.voxels, volume.affine)[:, 0], np.sort(voxels, axis=None))
    assert volume.voxels.dtype == np.int16


def test_signed_values_of_twelve_bits_and_a_whole_rescale_stay_whole(tmp_path: Path) -> None:
    voxels = marked() - 500
    write_series(tmp_path, voxels, grid(), modality="CT", bits_stored=12, RescaleSlope="2", RescaleIntercept="-24")
    volume = read_volume(tmp_path)
    assert volume.voxels.dtype == np.int16
    assert np.array_equal(np.sort(volume.voxels, axis=None), np.sort(2 * voxels - 24, axis=None))


def test_each_slice_is_rescaled_by_its_own_header(tmp_path: Path) -> None:
    voxels = marked()
    paths = write_series(
        tmp_path, voxels, grid(), modality="PT", RescaleSlope=lambda index: f"{0.5 + index / 8}", RescaleIntercept="0"
    )
    volume = read_volume(tmp_path)
    expected = {path: pydicom.dcmread(path).pixel_array * (0.5 + at / 8) for at, path in enumerate(paths)}
    assert volume.voxels.dtype == np.float32
    assert volume.flags == ("rescale_differs",)
    assert all(np.array_equal(plane, expected[path]) for plane, path in zip(volume.voxels, volume.sources, strict=True))


def test_white_as_zero_is_turned_for_signals_and_kept_for_quantities(tmp_path: Path) -> None:
    voxels = marked()
    kinds = {"bits_stored": 12, "PhotometricInterpretation": "MONOCHROME1"}
    write_series(tmp_path / "mr", voxels.astype(np.uint16), grid(), **kinds)
    write_series(tmp_path / "ct", voxels.astype(np.uint16), grid(), modality="CT", **kinds)
    mr, ct = read_volume(tmp_path / "mr"), read_volume(tmp_path / "ct")
    assert mr.flags == ("inverted",)
    assert np.array_equal(np.sort(mr.voxels, axis=None), np.sort(4095 - voxels, axis=None))
    assert ct.flags == ()
    assert np.array_equal(np.sort(ct.voxels, axis=None), np.sort(voxels, axis=None))


def test_padding_is_told_and_is_never_the_brightest(tmp_path: Path) -> None:
    voxels = marked() + 10
    voxels[0, 0, :3] = 3000
    write_series(tmp_path, voxels, grid(), PixelPaddingValue=3000)
    volume = read_volume(tmp_path)
    assert volume.flags == ("padding",)
    assert volume.voxels.max() == 1010
    assert volume.voxels.min() == voxels.min()


def test_other_files_of_a_folder_are_skipped_with_a_reason_each(tmp_path: Path) -> None:
    write_series(tmp_path / "a", marked(), grid())
    write_film(tmp_path / "film.dcm", np.zeros((4, 5), np.uint16))
    (tmp_path / "notes.txt").write_text("words")
    changed(write_series(tmp_path / "b", marked(), grid())[0], lambda dataset: dataset.pop("Rows"))
    write_series(tmp_path / "c", marked((1, 5, 6), (0, 1, 1)), grid(), ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"])
    found = find_series(tmp_path)
    assert sorted((path.name, code) for path, code, _ in found.skipped) == [
        ("0000.dcm", "mosaic"), ("0000.dcm", "no_pixels"), ("film.dcm", "film"), ("notes.txt", "not_an_image"),
    ]  # fmt: skip
    assert all(sentence.startswith(path.name) for path, _, sentence in found.skipped)


def test_names_do_not_hang_on_the_order_of_files_and_tell_no_uid(tmp_path: Path) -> None:
    parts = (marked(), grid(), {"EchoTime": "20"}), (marked((3, 5, 6), (1, 1, 1)), grid(), {"EchoTime": "80"})
    one, other = together(tmp_path / "a", *parts), together(tmp_path / "b", *parts[::-1])
    assert [(series.name, series.count) for series in one.series] == [
        (series.name, series.count) for series in other.series
    ]
    assert UID not in repr(one.series)


def test_a_folder_of_several_series_lists_them_and_an_empty_one_says_so(tmp_path: Path) -> None:
    write_series(tmp_path / "a", marked(), grid())
    write_series(tmp_path / "b", marked(), grid())
    with pytest.raises(ReadError, match=r"found 2: s[0-9a-f]{12} \(MR, 4 slices\), s[0-9a-f]{12}") as caught:
        read_volume(tmp_path)
    assert caught.value.code == "several_series"
    (tmp_path / "none").mkdir()
    with pytest.raises(ReadError, match="no series of slices among 0 files"):
        read_volume(tmp_path / "none")
    with pytest.raises(ReadError, match="absent: is not there"):
        read_volume(tmp_path / "absent")


def test_a_truncated_slice_is_named(tmp_path: Path) -> None:
    paths = write_series(tmp_path, marked((4, 50, 60)), grid())
    paths[1].write_bytes(paths[1].read_bytes()[:-3000])
    with pytest.raises(ReadError, match=r"0001\.dcm: 6000 bytes of pixels are announced, 3000 are there") as caught:
        read_volume(tmp_path)
    assert caught.value.code == "truncated"


def is_as_in_pydicom(plane: np.ndarray, path: Path) -> bool:
    header = pydicom.dcmread(path)
    if header.file_meta.TransferSyntaxUID.is_compressed:  # pydicom has no decoder for some of them here
        return True
    values = header.pixel_array * float(header.get("RescaleSlope", 1)) + float(header.get("RescaleIntercept", 0))
    return np.array_equal(plane, values)


def test_every_folder_of_pydicom_gives_a_series_or_a_reason() -> None:
    roots = [Path(pydicom.__file__).parent / "data"]
    data_store = pytest.importorskip("data_store")
    roots.append(Path(data_store.__file__).parent / "data")
    outcomes: dict[str, int] = {}
    for root in roots:
        found = find_series(root)
        assert {code for _, code, _ in found.skipped} <= set(REASONS)
        for series in found.series:
            try:
                volume = read_series(series)
                outcome = "volume"
                for plane, path in zip(volume.voxels, volume.sources, strict=not volume.frames):
                    assert volume.frames or "padding" in volume.flags or is_as_in_pydicom(plane, path)
            except ReadError as error:
                outcome = error.code
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert set(outcomes) <= {*REASONS, "volume"}
    assert outcomes["volume"] > 10
    assert outcomes["localizer"] > 2, "scouts of the sample studies"


@pytest.mark.parametrize("keyword", ["RescaleIntercept", "RescaleSlope", "ImagePositionPatient", "PixelSpacing"])
def test_a_number_that_cannot_be_read_is_not_taken_for_missing(tmp_path: Path, keyword: str) -> None:
    write_series(tmp_path, marked(), grid(), RescaleSlope="1.00", RescaleIntercept="-1024.0")
    first = sorted(tmp_path.iterdir())[0]
    dataset = pydicom.dcmread(first)
    text = str(dataset[keyword].value).strip("[]").replace(", ", "\\").replace("'", "").encode()
    data = first.read_bytes()
    assert text in data
    first.write_bytes(data.replace(text, b"x" + text[1:]))
    with pytest.raises(ReadError, match=keyword) as caught:
        slices_in(first)
    assert caught.value.code == "bad_header"


def test_a_decimal_comma_in_a_series_is_read(tmp_path: Path) -> None:
    write_series(tmp_path, marked(), grid(), RescaleSlope="1.00", RescaleIntercept="-1024.0")
    expected = read_volume(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes().replace(b"-1024.0", b"-1024,0").replace(b"1.00", b"1,00"))
    found = read_volume(tmp_path)
    assert np.array_equal(found.voxels, expected.voxels)
    assert found.voxels.min() == marked().min() - 1024
