"""A segmentation lies on its source for every reader: highdicom, dcmqi, and hand arithmetic on its headers."""

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import highdicom
import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid
from scipy.spatial.transform import Rotation

from medcnn.errors import MedcnnError, ReadError
from medcnn.io.seg import Coded, SegmentLabel, read_seg, write_seg
from medcnn.io.series import find_series, read_series
from medcnn.io.series_write import write_enhanced
from medcnn.io.volume import Volume

SHAPE = (9, 14, 11)
SPACING = (3.0, 0.8, 1.1)
NAMES = {1: SegmentLabel.of("anterior"), 2: SegmentLabel.of("hippocampus")}
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def placed(degrees: tuple[float, float, float] = (20, -35, 50), hand: int = 1) -> np.ndarray:
    """LPS affine of (slices, rows, columns), oblique; slices against the normal where ``hand`` is -1."""
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    affine = np.eye(4)
    along_row, along_column = turn[:, 0], turn[:, 1]
    affine[:3, 0] = hand * np.cross(along_row, along_column) * SPACING[0]
    affine[:3, 1], affine[:3, 2] = along_column * SPACING[1], along_row * SPACING[2]
    affine[:3, 3] = [-40.0, 25.5, 110.0]
    return affine


def blank(sop_class: str, sop: str, **elements: object) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, sop
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", Dataset(), preamble=bytes(128), file_meta=meta)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, sop
    given = {
        "PatientID": "P-17", "PatientName": "Doe^Jane", "PatientBirthDate": "19500101", "PatientSex": "F",
        "AccessionNumber": "A1", "StudyID": "1", "StudyDate": "20240102", "StudyTime": "101112", "Modality": "MR",
        "ReferringPhysicianName": "", "SeriesNumber": 4, "Manufacturer": "Scanner", "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 12, "HighBit": 11,
        "PixelRepresentation": 0, "Rows": SHAPE[1], "Columns": SHAPE[2], "ImageType": ["ORIGINAL", "PRIMARY", "M"],
        "PositionReferenceIndicator": "",
    } | elements  # fmt: skip
    for keyword, value in given.items():
        setattr(dataset, keyword, value)
    return dataset


def text(values: np.ndarray) -> list[str]:
    return [f"{value:.10g}" for value in values]


@pytest.fixture
def series(tmp_path: Path) -> Volume:
    """A series of single images, its files in no order, as a volume in slice order."""
    return written_series(tmp_path, placed())


def written_series(folder: Path, lps: np.ndarray, **elements: object) -> Volume:
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    uids["FrameOfReferenceUID"] = generate_uid()
    paths = []
    for slice_ in range(SHAPE[0]):
        dataset = blank(MRImageStorage, generate_uid(), **uids | elements)
        dataset.ImagePositionPatient = text(lps[:3] @ [slice_, 0, 0, 1])
        dataset.ImageOrientationPatient = text(np.concatenate([lps[:3, 2] / SPACING[2], lps[:3, 1] / SPACING[1]]))
        dataset.PixelSpacing, dataset.SliceThickness = [SPACING[1], SPACING[2]], SPACING[0]
        dataset.InstanceNumber = (7 * slice_) % SHAPE[0]
        dataset.PixelData = bytes(2 * SHAPE[1] * SHAPE[2])
        paths.append(folder / f"image{(5 * slice_) % SHAPE[0]}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return Volume(
        np.zeros(SHAPE, np.int16), LPS @ lps, "MR", uids["StudyInstanceUID"], uids["SeriesInstanceUID"],
        uids["FrameOfReferenceUID"], sources=tuple(paths),
    )  # fmt: skip


def written_multiframe(folder: Path, lps: np.ndarray, order: list[int]) -> Volume:
    """An enhanced file whose frames are those slices in that order, followed by one of a second stack."""
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    uids["FrameOfReferenceUID"] = generate_uid()
    dataset = blank(EnhancedMRImageStorage, generate_uid(), **uids)
    orientation, measures = Dataset(), Dataset()
    orientation.ImageOrientationPatient = text(np.concatenate([lps[:3, 2] / SPACING[2], lps[:3, 1] / SPACING[1]]))
    measures.PixelSpacing, measures.SliceThickness = [SPACING[1], SPACING[2]], SPACING[0]
    dataset.SharedFunctionalGroupsSequence = [Dataset()]
    groups = []
    for slice_ in [*order, 40]:
        group, position = Dataset(), Dataset()
        position.ImagePositionPatient = text(lps[:3] @ [slice_, 0, 0, 1])
        group.PlanePositionSequence = [position]
        group.PlaneOrientationSequence, group.PixelMeasuresSequence = [orientation], [measures]
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = groups
    dataset.NumberOfFrames = len(groups)
    dataset.PixelData = bytes(2 * SHAPE[1] * SHAPE[2] * len(groups))
    path = folder / "enhanced.dcm"
    dataset.save_as(path, enforce_file_format=True)
    frames = tuple(order.index(slice_) for slice_ in range(SHAPE[0]))
    return Volume(
        np.zeros(SHAPE, np.int16), LPS @ lps, "MR", uids["StudyInstanceUID"], uids["SeriesInstanceUID"],
        uids["FrameOfReferenceUID"], sources=(path,), frames=frames,
    )  # fmt: skip


def lumps() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:6, 3:9, 2:5] = 1
    labels[4:7, 8:12, 6:10] = 2
    labels[5, 9, 9] = 0
    return labels


def center_mm(labels: np.ndarray, value: int, affine: np.ndarray) -> np.ndarray:
    return affine[:3] @ [*np.argwhere(labels == value).mean(0), 1]


def by_hand(path: Path, value: int) -> np.ndarray:
    """Center of a segment in LPS mm, from the pixels of its frames and PS3.3 equation C.7.6.2.1-1."""
    seg = pydicom.dcmread(path)
    shared = seg.SharedFunctionalGroupsSequence[0]
    spacing = np.array(shared.PixelMeasuresSequence[0].PixelSpacing, float)
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    total, count = np.zeros(3), 0
    for frame, group in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        if group.SegmentIdentificationSequence[0].ReferencedSegmentNumber != value:
            continue
        origin = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        for row, column in np.argwhere(frame):
            total += origin + cosines[:3] * spacing[1] * column + cosines[3:] * spacing[0] * row
            count += 1
    return total / count


@pytest.mark.parametrize("hand", [1, -1])
@pytest.mark.parametrize("degrees", [(0, 0, 0), (20, -35, 50), (90, 0, 0), (-170, 80, 10)])
def test_centers_lie_where_they_should_for_three_readers(
    degrees: tuple[float, float, float], hand: int, tmp_path: Path
) -> None:
    source, labels, path = written_series(tmp_path, placed(degrees, hand)), lumps(), tmp_path / "out.dcm"
    write_seg(path, labels, source, NAMES)
    volume = highdicom.seg.segread(path).get_volume(combine_segments=True)
    ours, affine = read_seg(path)
    for value in (1, 2):
        truth = center_mm(labels, value, source.affine)
        assert np.allclose(LPS[:3, :3] @ by_hand(path, value), truth, atol=1e-3)
        assert np.allclose(LPS[:3, :3] @ center_mm(volume.array, value, volume.affine), truth, atol=1e-3)
        assert np.allclose(center_mm(ours, value, affine), truth, atol=1e-3)
        assert (ours == value).sum() == (labels == value).sum()


def test_dcmqi_reads_the_same_voxels_in_the_same_place(series: Volume, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("segimage2itkimage")
    if not program.exists():
        pytest.skip("dcmqi is not installed: pip install dcmqi")
    labels, path = lumps(), tmp_path / "out.dcm"
    write_seg(path, labels, series, NAMES)
    out = tmp_path / "dcmqi"
    out.mkdir()
    words = [program, "--inputDICOM", path, "--outputDirectory", out, "-t", "nii"]
    subprocess.run(list(map(str, words)), check=True, capture_output=True)
    for value in (1, 2):
        image = nib.load(out / f"{value}.nii.gz")
        found = np.asarray(image.dataobj) > 0
        assert found.sum() == (labels == value).sum()
        assert np.allclose(center_mm(found, 1, image.affine), center_mm(labels, value, series.affine), atol=0.01)


@pytest.mark.parametrize("kind", ["series", "multiframe", "empty"])
def test_dciodvfy_finds_no_error(kind: str, tmp_path: Path) -> None:
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy is not installed: apt-get install dicom3tools")
    multiframe = kind == "multiframe"
    source = (
        written_multiframe(tmp_path, placed(), list(range(9))) if multiframe else written_series(tmp_path, placed())
    )
    path = tmp_path / "out.dcm"
    write_seg(path, np.zeros(SHAPE, np.uint8) if kind == "empty" else lumps(), source, NAMES, model="ab" * 32)
    said = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
    assert not [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]


@pytest.mark.parametrize("order", [list(range(9)), list(range(9))[::-1], [4, 0, 8, 2, 6, 1, 3, 7, 5]])
def test_a_multiframe_source_is_referred_to_frame_by_frame(order: list[int], tmp_path: Path) -> None:
    source, labels, path = written_multiframe(tmp_path, placed(), order), lumps(), tmp_path / "out.dcm"
    write_seg(path, labels, source, NAMES)
    back, affine = read_seg(path)
    assert np.allclose(center_mm(back, 2, affine), center_mm(labels, 2, source.affine), atol=1e-3)
    image = pydicom.dcmread(source.sources[0])
    for group in pydicom.dcmread(path).PerFrameFunctionalGroupsSequence:
        referred = group.DerivationImageSequence[0].SourceImageSequence[0]
        assert referred.ReferencedSOPInstanceUID == image.SOPInstanceUID
        frame = image.PerFrameFunctionalGroupsSequence[int(referred.ReferencedFrameNumber) - 1]
        here, there = (one.PlanePositionSequence[0].ImagePositionPatient for one in (group, frame))
        assert np.allclose(np.array(here, float), np.array(there, float), atol=1e-3)


def test_of_two_echoes_in_one_file_each_mask_refers_to_its_own(tmp_path: Path) -> None:
    write_enhanced(
        tmp_path / "echoes.dcm", np.zeros(SHAPE, np.int16), LPS @ placed(),
        order=[*range(9), *range(9)], echo_times=[10.0] * 9 + [20.0] * 9,
    )  # fmt: skip
    referred = []
    for number, one in enumerate(find_series(tmp_path).series):
        path = tmp_path / f"{number}.seg"
        write_seg(path, lumps(), read_series(one), NAMES)
        groups = pydicom.dcmread(path).PerFrameFunctionalGroupsSequence
        items = [group.DerivationImageSequence[0].SourceImageSequence[0] for group in groups]
        referred.append({int(item.ReferencedFrameNumber) for item in items})
    assert sorted(map(sorted, referred)) == [[3, 4, 5, 6, 7], [12, 13, 14, 15, 16]]


def test_each_frame_refers_to_the_image_it_was_drawn_on(series: Volume, tmp_path: Path) -> None:
    labels, path = lumps(), tmp_path / "out.dcm"
    write_seg(path, labels, series, NAMES)
    seg = pydicom.dcmread(path)
    images = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, series.sources)}
    referred = {one.ReferencedSOPInstanceUID for one in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert referred == set(images)
    for group in seg.PerFrameFunctionalGroupsSequence:
        image = images[group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID]
        assert list(image.ImagePositionPatient) == list(group.PlanePositionSequence[0].ImagePositionPatient)


def test_it_stands_in_the_study_of_its_source_and_names_nobody_else(series: Volume, tmp_path: Path) -> None:
    path = tmp_path / "out.dcm"
    write_seg(path, lumps(), series, NAMES, model="f" * 64)
    seg, image = pydicom.dcmread(path), pydicom.dcmread(series.sources[0])
    same = "PatientID PatientName PatientBirthDate PatientSex StudyInstanceUID FrameOfReferenceUID AccessionNumber"
    assert [seg[one].value for one in same.split()] == [image[one].value for one in same.split()]
    assert seg.SeriesInstanceUID != image.SeriesInstanceUID
    assert seg.ContentCreatorName == ""
    assert "OperatorsName" not in seg
    assert seg.Manufacturer == "medcnn"
    segment = seg.SegmentSequence[1]
    assert (segment.SegmentLabel, segment.SegmentAlgorithmType) == ("hippocampus", "AUTOMATIC")
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "5366008"
    assert segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName == "medcnn"


def test_a_class_that_is_not_there_has_every_slice_written_empty(series: Volume, tmp_path: Path) -> None:
    labels, path = lumps(), tmp_path / "out.dcm"
    labels[labels == 2] = 0
    write_seg(path, labels, series, NAMES)
    back, affine = read_seg(path)
    assert np.array_equal(back, labels)
    assert np.allclose(affine, series.affine, atol=1e-3)
    assert pydicom.dcmread(path).NumberOfFrames == 2 * SHAPE[0]


def test_nothing_found_at_all_is_written_and_read(series: Volume, tmp_path: Path) -> None:
    path = tmp_path / "out.dcm"
    write_seg(path, np.zeros(SHAPE, np.int16), series, NAMES)
    assert not read_seg(path)[0].any()


def test_the_same_result_is_the_same_object_and_another_is_not(series: Volume, tmp_path: Path) -> None:
    uids = []
    for number, labels in enumerate([lumps(), lumps(), np.roll(lumps(), 1, axis=1)]):
        write_seg(tmp_path / f"{number}.seg", labels, series, NAMES)
        uids.append(pydicom.dcmread(tmp_path / f"{number}.seg").SOPInstanceUID)
    assert uids[0] == uids[1] != uids[2]


def test_files_that_lack_what_may_be_empty_still_carry_one(tmp_path: Path) -> None:
    source = written_series(tmp_path, placed())
    for path in source.sources:
        image = pydicom.dcmread(path)
        for keyword in ("PatientBirthDate", "AccessionNumber", "StudyID", "ReferringPhysicianName", "SeriesNumber"):
            delattr(image, keyword)
        image.save_as(path)
    write_seg(tmp_path / "out.dcm", lumps(), source, NAMES)
    assert pydicom.dcmread(tmp_path / "out.dcm").AccessionNumber == ""


@pytest.mark.parametrize("said", ["0.3", "-3", "30", None])
def test_what_a_scanner_says_of_the_gap_between_slices_is_not_believed(said: str | None, tmp_path: Path) -> None:
    source = written_series(tmp_path, placed(), SpacingBetweenSlices=said)
    for path in source.sources:
        image = pydicom.dcmread(path)
        image.SliceThickness = said
        image.save_as(path)
    write_seg(tmp_path / "out.dcm", lumps(), source, NAMES)
    back, affine = read_seg(tmp_path / "out.dcm")
    assert np.allclose(center_mm(back, 1, affine), center_mm(lumps(), 1, source.affine), atol=1e-3)
    seg = pydicom.dcmread(tmp_path / "out.dcm")
    assert float(seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices) == SPACING[0]


def test_a_volume_that_is_not_on_the_grid_of_its_files_is_refused_and_nothing_is_left(
    series: Volume, tmp_path: Path
) -> None:
    moved = series.affine.copy()
    moved[:3, 3] += 0.3 * moved[:3, 1]
    flipped = series.affine.copy()
    flipped[:3, 1] *= -1
    for affine in (moved, flipped):
        with pytest.raises(MedcnnError, match="not on the grid of its files"):
            write_seg(tmp_path / "out.dcm", lumps(), dataclasses.replace(series, affine=affine), NAMES)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in series.sources}


def test_a_result_that_reads_back_otherwise_does_not_take_its_name(
    series: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoiled(self: highdicom.seg.Segmentation, target: object, **words: object) -> None:
        self.PixelData = bytes(len(self.PixelData))
        pydicom.dcmwrite(target, self, **words)

    monkeypatch.setattr(highdicom.seg.Segmentation, "save_as", spoiled)
    (tmp_path / "out.dcm").write_text("what was there")
    with pytest.raises(MedcnnError, match="read back otherwise"):
        write_seg(tmp_path / "out.dcm", lumps(), series, NAMES)
    assert (tmp_path / "out.dcm").read_text() == "what was there"


def test_a_missing_frame_of_reference_is_made_and_reported(series: Volume, tmp_path: Path) -> None:
    for path in series.sources:
        image = pydicom.dcmread(path)
        del image.FrameOfReferenceUID
        image.save_as(path)
    assert write_seg(tmp_path / "out.dcm", lumps(), series, NAMES) == ("FrameOfReferenceUID",)
    assert pydicom.dcmread(tmp_path / "out.dcm").FrameOfReferenceUID


@pytest.mark.parametrize(
    ("labels", "segments", "match"),
    [
        (np.zeros((2, 3, 4), np.uint8), NAMES, "grid of the source"),
        (np.full(SHAPE, 3), NAMES, "0 to 2"),
        (np.zeros(SHAPE), NAMES, "whole labels"),
        (np.zeros(SHAPE, np.uint8), {1: NAMES[1], 3: NAMES[2]}, "none left out"),
    ],
)
def test_labels_that_do_not_fit_are_refused(
    labels: np.ndarray, segments: dict[int, SegmentLabel], match: str, series: Volume, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=match):
        write_seg(tmp_path / "out.dcm", labels, series, segments)


def test_what_is_no_segmentation_is_refused_by_name(series: Volume, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no image")
    with pytest.raises(ReadError, match=r"note\.txt"):
        read_seg(tmp_path / "note.txt")
    with pytest.raises(ReadError, match="expected a DICOM Segmentation"):
        read_seg(series.sources[0])


def test_a_name_that_is_known_gets_its_code_and_any_other_is_an_organ() -> None:
    assert SegmentLabel.of("Brain").kind == Coded("12738006", "SCT", "Brain")
    assert SegmentLabel.of("posterior").kind.meaning == "Organ"
    assert SegmentLabel.of("lesion").category.meaning == "Morphologically Abnormal Structure"
