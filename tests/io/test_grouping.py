"""Attributes that differ inside a series: repeats are volumes of their own, pieces are one series or a refusal."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from oblique_grids import grid, marked
from pydicom.dataset import Dataset

from medcnn.errors import ReadError
from medcnn.io.series import SeriesFound, find_series, read_series
from medcnn.io.series_write import write_series

PLAIN = grid(degrees=(0.0, 0.0, 0.0), spacing=(5.0, 0.9, 0.7))


def series_of(
    folder: Path, change: Callable[[Dataset, int], Any], affine: np.ndarray = PLAIN, count: int = 12
) -> SeriesFound:
    """A sound series, each of its slices changed."""
    for index, path in enumerate(write_series(folder, marked((count, 5, 6)), affine)):
        dataset = pydicom.dcmread(path)
        change(dataset, index)
        dataset.save_as(path)
    return find_series(folder)


def outcomes(found: SeriesFound) -> list[str]:
    """Flags of each volume, or the code with which it is refused."""
    results = []
    for series in found.series:
        try:
            results.append(";".join(read_series(series).flags) or f"volume of {series.count}")
        except ReadError as error:
            results.append(error.code)
    return results


def put(keyword: str, value: Callable[[int], Any]) -> Callable[[Dataset, int], None]:
    return lambda dataset, index: setattr(dataset, keyword, value(index))


def two_distances(dataset: Dataset, index: int) -> None:
    x, y, _ = dataset.ImagePositionPatient
    dataset.ImagePositionPatient = [x, y, 2.5 * index if index < 6 else 15 + 5 * (index - 6)]
    dataset.AcquisitionNumber = 1 + index // 2


def gap(dataset: Dataset, index: int) -> None:
    x, y, z = dataset.ImagePositionPatient
    dataset.ImagePositionPatient = [x, y, float(z) + 5 * (index > 6)]
    dataset.AcquisitionNumber = 1 + min(index, 10)


def test_two_slice_distances_are_one_series_not_many(tmp_path: Path) -> None:
    assert outcomes(series_of(tmp_path / "a", two_distances)) == ["gaps"]
    assert outcomes(series_of(tmp_path / "b", gap)) == ["gaps"]


UIDS = ("1.2.3.4", "1.2.3.5")
KIND = ["ORIGINAL", "PRIMARY"]
PIECES = [
    ("AcquisitionNumber", lambda at: 1 + at // 4, ""),
    ("AcquisitionTime", lambda at: f"1010{at:02}", ""),
    ("TemporalPositionIdentifier", lambda at: 1 + at // 4, ""),
    ("ConvolutionKernel", lambda at: ("B30", "B31")[at // 6], ""),
    ("SliceThickness", lambda at: 2 + at, ""),
    ("EchoTime", lambda at: ("20.04", "20.2")[at % 2], ""),
    ("EchoTime", lambda at: ("20", "80")[at // 6], "mixed_series"),
    ("ImageType", lambda at: [*KIND, "MP"[at // 6]], "mixed_series"),
    ("ImageType", lambda at: [*KIND, ("AXIAL", "HELICAL")[at // 6]], ""),
    ("StudyInstanceUID", lambda at: UIDS[at // 6], "mixed_series"),
    ("FrameOfReferenceUID", lambda at: UIDS[at // 6], "mixed_series"),
    ("PixelSpacing", lambda at: ([0.9, 0.7], [0.8, 0.7])[at // 6], "mixed_size"),
    ("PixelSpacing", lambda at: (["0.8984", "0.7031"], ["0.90", "0.70"])[at % 2], ""),
]


@pytest.mark.parametrize(("keyword", "value", "code"), PIECES)
def test_pieces_that_continue_each_other_are_one_series(
    tmp_path: Path, keyword: str, value: Callable[[int], Any], code: str
) -> None:
    (outcome,) = outcomes(series_of(tmp_path, put(keyword, value)))
    assert outcome == (code or "volume of 12")


def turn(degrees: float) -> list[str]:
    across = grid(degrees=(11.0, -7.0, 19.0 + degrees))[:3, [2, 1]] / (0.7, 0.9) * [[-1], [-1], [1]]
    return [f"{one:.6f}" for one in across.T.ravel()]


def turned_last(dataset: Dataset, index: int) -> None:
    if index == 11:
        dataset.ImageOrientationPatient = turn(3.0)


def rounded_cosines(decimals: Callable[[int], int]) -> Callable[[Dataset, int], None]:
    def change(dataset: Dataset, index: int) -> None:
        digits = decimals(index)
        dataset.ImageOrientationPatient = [f"{float(one):.{digits}f}" for one in dataset.ImageOrientationPatient]

    return change


def test_a_turned_slice_refuses_its_series(tmp_path: Path) -> None:
    assert outcomes(series_of(tmp_path, turned_last, grid())) == ["mixed_orientation"]


@pytest.mark.parametrize(
    ("decimals", "expected"),
    [
        (lambda at: 6 - at % 4, "volume of 12"),
        (lambda at: 2, "rounded_geometry"),
        (lambda at: (1, 6)[at % 2], "rounded_geometry"),
        (lambda at: 1, "no_geometry"),
    ],
    ids=["3 to 6", "2", "1 and 6", "1"],
)
def test_cosines_are_compared_by_their_digits(tmp_path: Path, decimals: Callable[[int], int], expected: str) -> None:
    found = series_of(tmp_path, rounded_cosines(decimals), grid())
    assert outcomes(found) == [expected]
    if expected != "no_geometry":
        volume = read_series(found.series[0])
        truth = np.linalg.inv(grid()) @ volume.affine
        assert np.abs(np.abs(truth[:3, :3]).round(1) - np.eye(3)).max() < 0.15


@pytest.mark.parametrize(("decimals", "step"), [(1, 1.25), (0, 2.5), (0, 5.0), (1, 0.625), (2, 0.33)])
def test_positions_are_compared_by_their_digits(tmp_path: Path, decimals: int, step: float) -> None:
    affine = grid(spacing=(step, 0.9, 0.7), degrees=(3.0, 2.0, 0.0))

    def rounded(dataset: Dataset, index: int) -> None:
        dataset.ImagePositionPatient = [f"{float(one):.{decimals}f}" for one in dataset.ImagePositionPatient]

    found = series_of(tmp_path, rounded, affine, count=30)
    volume = read_series(found.series[0])
    assert volume.spacing_mm[0] == pytest.approx(step, rel=0.03)
    found.series[0].paths[7].unlink()
    with pytest.raises(ReadError, match="a slice is missing"):
        read_series(find_series(tmp_path).series[0])


def test_thin_slices_with_coarse_positions_name_the_cause(tmp_path: Path) -> None:
    def rounded(dataset: Dataset, index: int) -> None:
        dataset.ImagePositionPatient = [f"{float(one):.0f}" for one in dataset.ImagePositionPatient]

    found = series_of(tmp_path, rounded, grid(degrees=(0, 0, 0), spacing=(0.8, 0.9, 0.7)))
    with pytest.raises(ReadError, match="positions have too few decimals"):
        read_series(found.series[0])


def twins(dataset: Dataset, index: int) -> None:
    dataset.PatientID, dataset.PatientName = ("Q7", "Zebra^Anna") if index < 6 else ("Q8", "Yak^Berta")


def test_two_patients_of_one_uid_are_never_stacked(tmp_path: Path) -> None:
    found = series_of(tmp_path / "id", twins)
    assert outcomes(found) == ["several_patients"]
    assert not any(secret in found.series[0].sentence + repr(found) for secret in ("Q7", "Q8", "Zebra", "Yak"))

    def by_name(dataset: Dataset, index: int) -> None:
        twins(dataset, index)
        dataset.PatientID = ""

    def respelled(dataset: Dataset, index: int) -> None:
        dataset.PatientID, dataset.PatientName = "Q7", ("Zebra^Anna", "ZEBRA^ANNA^^")[index % 2]

    assert outcomes(series_of(tmp_path / "name", by_name)) == ["several_patients"]
    assert outcomes(series_of(tmp_path / "spelling", respelled)) == ["volume of 12"]


def test_localizers_are_recognized_by_type_and_by_planes(tmp_path: Path) -> None:
    def typed(dataset: Dataset, index: int) -> None:
        if index == 0:
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
            dataset.ImagePositionPatient = [0, 0, -400]

    assert sorted(outcomes(series_of(tmp_path / "type", typed))) == ["localizer", "volume of 11"]
    planes = ((1, 0, 0, 0, 1, 0), (1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1))
    found = series_of(tmp_path / "planes", put("ImageOrientationPatient", lambda at: list(planes[at % 3])), count=9)
    assert outcomes(found) == ["localizer"]


def test_a_piece_of_a_second_acquisition_is_no_volume(tmp_path: Path) -> None:
    sound = {"series_uid": "1.2.3", "study_uid": "1.2.4", "frame_of_reference": "1.2.5"}
    write_series(tmp_path, marked((12, 5, 6)), PLAIN, AcquisitionNumber="1", **sound)
    again = PLAIN.copy()
    again[:3, 3] += 3 * PLAIN[:3, 0]
    names = [f"again{at}.dcm" for at in range(4)]
    write_series(tmp_path, marked((4, 5, 6)), again, names=names, AcquisitionNumber="2", **sound)
    assert outcomes(find_series(tmp_path)) == ["volume of 12", "remainder"]


def test_a_damaged_slice_refuses_the_series_of_its_folder(tmp_path: Path) -> None:
    found = series_of(tmp_path / "a", lambda dataset, index: None)
    assert outcomes(found) == ["volume of 12"]
    last = tmp_path / "a" / "0011.dcm"
    last.write_bytes(b"")
    found = find_series(tmp_path / "a")
    assert outcomes(found) == ["incomplete"]
    assert "0011.dcm" in found.series[0].sentence
    write_series(tmp_path / "a", marked(), PLAIN, names=[f"other{at}.dcm" for at in range(4)])
    assert outcomes(find_series(tmp_path / "a")) == ["damaged_neighbor", "damaged_neighbor"]


def test_decimal_commas_are_read_and_other_text_refuses_the_series(tmp_path: Path) -> None:
    found = series_of(tmp_path, put("RescaleIntercept", lambda at: "-1000.5"))
    plain = read_series(found.series[0]).voxels
    for path in found.series[0].paths:
        path.write_bytes(path.read_bytes().replace(b"-1000.5", b"-1000,5"))
    assert np.array_equal(read_series(find_series(tmp_path).series[0]).voxels, plain)
    last = tmp_path / "0011.dcm"
    last.write_bytes(last.read_bytes().replace(b"-1000,5", b"-1000?5"))
    assert outcomes(find_series(tmp_path)) == ["incomplete"]
