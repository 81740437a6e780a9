"""Enhanced multi-frame files: each frame in its place, whatever their order; stacks and echoes apart."""

from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from oblique_grids import ORIENTATIONS, grid, marked, places

from medcnn.errors import ReadError
from medcnn.io.read import read_film, read_volume
from medcnn.io.series import find_series, read_series
from medcnn.io.series_write import write_enhanced

TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.mark.parametrize("orientation", ORIENTATIONS[::5], ids=str)
@pytest.mark.parametrize("modality", ["MR", "CT"])
def test_frames_lie_where_they_were_planted_whatever_their_order(
    tmp_path: Path, modality: str, orientation: tuple[tuple[int, ...], tuple[int, ...]]
) -> None:
    affine = grid(*orientation)
    write_enhanced(tmp_path / "a.dcm", marked(), affine, modality=modality, order=[2, 0, 3, 1])
    volume = read_volume(tmp_path / "a.dcm")
    assert np.allclose(places(volume.voxels, volume.affine), places(marked(), affine), atol=1e-6)
    assert volume.sources == (tmp_path / "a.dcm",)
    assert volume.frames in ((1, 3, 0, 2), (2, 0, 3, 1))
    assert volume.flags == ()


def by_highdicom(path: Path) -> tuple[np.ndarray, np.ndarray]:
    other = highdicom.imread(path).get_volume(apply_real_world_transform=False, apply_voi_transform=False)
    return other.array, TO_RAS @ other.affine


@pytest.mark.parametrize("rescale", [(), ((2.0, -5.0),), ((1.0, 0.0), (0.5, 2e3), (0.25, 3e3), (4.0, 4e3))])
def test_highdicom_reads_the_same_values_at_the_same_places(
    tmp_path: Path, rescale: tuple[tuple[float, float], ...]
) -> None:
    write_enhanced(tmp_path / "a.dcm", marked(), grid(), rescale=rescale)
    volume = read_volume(tmp_path / "a.dcm")
    array, affine = by_highdicom(tmp_path / "a.dcm")
    assert np.allclose(places(volume.voxels, volume.affine), places(array, affine), atol=1e-5)
    assert volume.voxels.dtype == (np.float32 if len(rescale) > 1 else np.int16)
    assert volume.flags == (("rescale_differs",) if len(rescale) > 1 else ())


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.2"])
def test_encoded_frames_give_the_same_volume(tmp_path: Path, syntax: str) -> None:
    voxels = np.random.default_rng(3).integers(0, 4096, (4, 16, 20)).astype(np.uint16)
    write_enhanced(tmp_path / "a.dcm", voxels, grid(), order=[3, 1, 2, 0], transfer_syntax=syntax)
    volume = read_volume(tmp_path / "a.dcm")
    found = volume.voxels if np.allclose(volume.affine, grid(), atol=1e-6) else volume.voxels[::-1]
    assert np.array_equal(found, voxels)


def test_echoes_in_one_file_are_series_of_their_own(tmp_path: Path) -> None:
    write_enhanced(
        tmp_path / "a.dcm", marked(), grid(), order=[0, 0, 1, 1, 2, 2, 3, 3], echo_times=[20, 80] * 4, stacks=["1"] * 8
    )
    found = find_series(tmp_path)
    assert [series.count for series in found.series] == [4, 4]
    frames = {read_series(series).frames for series in found.series}
    assert {tuple(sorted(one)) for one in frames} == {(0, 2, 4, 6), (1, 3, 5, 7)}
    with pytest.raises(ReadError, match="found 2"):
        read_volume(tmp_path / "a.dcm")


def test_stacks_of_one_place_are_told_apart_and_without_a_mark_refused(tmp_path: Path) -> None:
    order, stacks = [0, 1, 2, 3] * 2, ["1"] * 4 + ["2"] * 4
    write_enhanced(tmp_path / "a.dcm", marked(), grid(), order=order, stacks=stacks)
    assert [series.count for series in find_series(tmp_path / "a.dcm").series] == [4, 4]
    write_enhanced(tmp_path / "b.dcm", marked(), grid(), order=order)
    with pytest.raises(
        ReadError, match=r"b\.dcm frame 1 and b\.dcm frame 5|b\.dcm frame 4 and b\.dcm frame 8"
    ) as caught:
        read_volume(tmp_path / "b.dcm")
    assert caught.value.code == "duplicate_position"


def test_a_missing_frame_is_a_gap(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "a.dcm", marked(), grid(), order=[0, 1, 3])
    with pytest.raises(ReadError, match=r"2\.50 to 5\.00 mm") as caught:
        read_volume(tmp_path / "a.dcm")
    assert caught.value.code == "gaps"


def test_more_frames_than_are_described_are_refused(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "a.dcm", marked(), grid(), NumberOfFrames=7)
    found = find_series(tmp_path)
    assert [(code, sentence) for _, code, sentence in found.skipped] == [
        ("bad_header", "a.dcm: the header says 7 frames and describes 4")
    ]


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.80"])
def test_a_truncated_file_is_named(tmp_path: Path, syntax: str) -> None:
    voxels = np.random.default_rng(3).integers(0, 4096, (4, 40, 50)).astype(np.uint16)
    write_enhanced(tmp_path / "a.dcm", voxels, grid(), transfer_syntax=syntax)
    content = (tmp_path / "a.dcm").read_bytes()
    (tmp_path / "a.dcm").write_bytes(content[: -len(content) // 3])
    with pytest.raises(ReadError, match=r"a\.dcm: ") as caught:
        read_volume(tmp_path / "a.dcm")
    assert caught.value.code in ("truncated", "decode_failed")


def test_a_multi_frame_file_is_no_film(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "a.dcm", marked(), grid())
    with pytest.raises(ReadError) as caught:
        read_film(tmp_path / "a.dcm")
    assert caught.value.code == "multiframe"


def test_an_enhanced_ct_of_another_maker_is_read_as_highdicom_reads_it() -> None:
    data_store = pytest.importorskip("data_store")
    path = next(Path(data_store.__file__).parent.rglob("eCT_Supplemental.dcm"))
    volume = read_volume(path)
    array, affine = by_highdicom(path)
    assert volume.voxels.shape == (2, 512, 512)
    found = volume.voxels if np.allclose(volume.affine, affine) else volume.voxels[::-1]
    assert np.array_equal(found, array)
    assert np.allclose(np.sort(np.abs(volume.spacing_mm)), np.sort(np.linalg.norm(affine[:3, :3], axis=0)))
    assert pydicom.dcmread(path).NumberOfFrames == len(volume.frames)


def test_a_rescale_at_the_root_counts_where_no_group_has_one(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "a.dcm", marked(), grid(), rescale=((1.0, -1024.0),))
    expected = read_volume(tmp_path / "a.dcm")
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    for group in (*dataset.SharedFunctionalGroupsSequence, *dataset.PerFrameFunctionalGroupsSequence):
        group.pop("PixelValueTransformationSequence", None)
    dataset.RescaleSlope, dataset.RescaleIntercept = "1", "-1024"
    dataset.save_as(tmp_path / "a.dcm")
    assert np.array_equal(read_volume(tmp_path / "a.dcm").voxels, expected.voxels)
