"""Cohorts of volumes: folders of class folders, tables of sequences, NIfTI beside DICOM."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
import yaml
from monai.data import MetaTensor
from monai.transforms import Orientationd
from scipy.spatial.transform import Rotation

from medcnn.cli.configs import configs_folder
from medcnn.data.mri import BrainMriDataModule
from medcnn.data.spec import described
from medcnn.data.volumes import VolumeFiles
from medcnn.errors import ConfigError, LeakError, ManifestError, ReadError
from medcnn.io.series_write import write_series
from medcnn.tasks.build import build

SHAPE = (6, 7, 8)


def oblique(spacing: tuple[float, ...] = (1.5, 0.8, 1.1), degrees: tuple[float, ...] = (20, -35, 50)) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() * spacing
    affine[:3, 3] = (-31.0, 12.5, 40.0)
    return affine


def voxels_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1000, SHAPE).astype(np.int16)


def nifti(path: Path, voxels: np.ndarray, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, oblique() if affine is None else affine), path)  # not our own writer
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight files and four series in two classes; two series are of one patient."""
    for number in range(8):
        nifti(tmp_path / ("well", "ill")[number % 2] / f"sub-{number}.nii.gz", voxels_of(number))
    for number in range(4):
        patient = f"P{max(number, 1)}"
        write_series(tmp_path / "ill" / f"study{number}" / "t1", voxels_of(20 + number), oblique(), PatientID=patient)
    (tmp_path / "well" / "README.txt").write_text("no volume")
    return tmp_path


def test_class_folders_hold_files_and_series_and_the_header_tells_the_patient(folder: Path) -> None:
    data = BrainMriDataModule(folder, patient="dicom", fractions=(0.2, 0.2), workers=0)
    data.setup()
    assert (data.classes, data.in_channels, len(data.cases)) == (("well", "ill"), 1, 12)
    assert data.cases["label"].tolist().count(1) == 8
    assert data.cases["patient"].nunique() == 11
    assert data.cases.groupby("patient")["split"].nunique().max() == 1
    assert next(iter(data.train_dataloader()))["image"].shape[1:] == (1, *SHAPE)
    assert "path" not in data.cases.columns


def test_the_same_voxels_in_another_format_are_a_leak(folder: Path) -> None:
    # As a converter may leave it: slices last and reversed, the affine to match.
    turned = oblique() @ np.array([[0, 0, -1, SHAPE[0] - 1], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    nifti(folder / "copy.nii", voxels_of(20).transpose(1, 2, 0)[:, :, ::-1], turned)
    rows = ["copy.nii,well,train", "ill/study0,ill,test", "ill/study2/t1,ill,train", "well/sub-0.nii.gz,well,test"]
    (folder / "table.csv").write_text("\n".join(["path,label,split", *rows]))
    upright = [described(Orientationd, keys=["image"], axcodes="RAS", labels=None)]
    data = BrainMriDataModule(folder / "table.csv", workers=0, preprocess=upright, fractions=(0.0, 0.0))
    with pytest.raises(LeakError, match=r"copy\.nii \(train\) and ill/study0 \(test\) hold the same pixels"):
        data.setup()


def linear(shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    """A value that tells its position in mm; interpolation keeps it exactly."""
    position = np.einsum("ij,jabc->iabc", affine[:3, :3], np.indices(shape)) + affine[:3, 3, None, None, None]
    return (np.tensordot((1.0, -0.7, 0.4), position, axes=1) + 300).astype(np.float32)


def test_sequences_become_channels_on_the_grid_of_the_first(tmp_path: Path) -> None:
    wide = oblique((2.0, 2.0, 2.0), (0, 15, 0))
    wide[:3, 3] -= (15, 15, 15)
    for number in range(4):
        nifti(tmp_path / f"t1_{number}.nii.gz", linear(SHAPE, oblique()) + number)
        nifti(tmp_path / f"flair_{number}.nii.gz", linear((25, 25, 25), wide) + number, wide)
    rows = [f"t1_{n}.nii.gz,flair_{n}.nii.gz,{n % 2},{['train', 'val'][n // 2]}" for n in range(4)]
    (tmp_path / "table.csv").write_text("\n".join(["t1,flair,label,split", *rows]))
    data = BrainMriDataModule(tmp_path / "table.csv", sequences=["t1", "flair"], workers=0)
    data.setup()
    batch = next(iter(data.val_dataloader()))
    assert data.in_channels == 2
    assert batch["image"].shape == (2, 2, *SHAPE)
    torch.testing.assert_close(batch["image"][:, 1], batch["image"][:, 0], atol=1e-2, rtol=0)
    assert data.describe()["flags"]["resampled"] == 4


def test_fields_of_view_that_do_not_meet_make_an_unreadable_case(tmp_path: Path) -> None:
    far = oblique()
    far[:3, 3] += 900
    nifti(tmp_path / "t1.nii", voxels_of(0))
    nifti(tmp_path / "flair.nii", voxels_of(1), far)
    with pytest.raises(ReadError, match=r"flair\.nii beside t1\.nii: their fields of view do not meet"):
        VolumeFiles(tmp_path, [("t1.nii", "flair.nii")]).open(0)


def test_a_table_that_cannot_be_meant_is_told(folder: Path) -> None:
    with pytest.raises(ConfigError, match="give a table with a column for each"):
        BrainMriDataModule(folder, sequences=["t1", "flair"])
    with pytest.raises(ConfigError, match="each once, found t1, t1"):
        BrainMriDataModule(folder, sequences=["t1", "t1"])
    rows = ["well/sub-0.nii.gz,ill/sub-1.nii.gz,a", "ill/sub-1.nii.gz,well/sub-2.nii.gz,b"]
    (folder / "table.csv").write_text("\n".join(["t1,flair,label", *rows]))
    with pytest.raises(ManifestError, match=r"ill/sub-1\.nii\.gz is in column t1 and in column flair"):
        BrainMriDataModule(folder / "table.csv", sequences=["t1", "flair"])


def test_a_truncated_file_is_counted_and_more_than_the_allowed_are_refused(folder: Path) -> None:
    path = folder / "well" / "sub-0.nii.gz"
    path.write_bytes(path.read_bytes()[:400])
    data = BrainMriDataModule(folder, workers=0, allow_unreadable=0.1)
    data.setup()
    assert data.describe()["excluded"] == {"truncated": 1}
    with pytest.raises(ReadError, match="1 of 12 images are unreadable"):
        BrainMriDataModule(folder, workers=0, allow_unreadable=0.05).setup()


def test_one_changed_slice_changes_the_state_of_its_series_alone(folder: Path) -> None:
    files = VolumeFiles(folder, [("ill/study0/t1",), ("ill/study1/t1",), ("gone.nii",)])
    before = files.state()
    slice_ = next((folder / "ill" / "study1" / "t1").iterdir())
    slice_.write_bytes(slice_.read_bytes() + b"\0\0")
    after = files.state()
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]
    assert after[2] == "gone.nii missing"


@pytest.mark.data
def test_a_marked_voxel_keeps_its_place_through_the_shipped_steps(shared_data: Path) -> None:
    steps = yaml.safe_load((configs_folder() / "data" / "brain_mri.yaml").read_text())["init_args"]["preprocess"]
    source = nibabel.load(shared_data / "heads" / "robex_atlas_t1.nii.gz")
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", (9, -12, 15), degrees=True).as_matrix()
    # Another order of axes and an oblique grid: the truth is the product of the same matrices.
    voxels = np.asarray(source.dataobj, dtype=np.float32).transpose(2, 0, 1)[:, ::-1]
    affine = turn @ source.affine @ _index_map(source.shape)
    center = np.argwhere(voxels > np.percentile(voxels, 95)).mean(0).round().astype(int)
    around = np.indices(voxels.shape) - center[:, None, None, None]
    marked = voxels + 3 * voxels.max() * np.exp(-(around**2).sum(0) / 8.0)
    case = {"image": MetaTensor(torch.from_numpy(marked[None].astype(np.float32)), affine=torch.from_numpy(affine))}
    for step in steps:
        if "Percentile" in step["class_path"]:
            step["init_args"]["clip"] = False  # the mark is to stay the highest
        case = build(step)(case)
    image = case["image"]
    assert image.shape == (1, 80, 96, 80)
    found = np.asarray(image.affine)[:3] @ [*np.unravel_index(int(image.argmax()), image.shape[1:]), 1.0]
    assert np.linalg.norm(found - affine[:3] @ [*center, 1.0]) < 2.0, "within a voxel of 2 mm"


def _index_map(shape: tuple[int, ...]) -> np.ndarray:
    """From an index of the reordered array to one of the original: (k, flipped i, j) to (i, j, k)."""
    change = np.zeros((4, 4))
    change[0, 1], change[0, 3] = -1, shape[0] - 1
    change[1, 2] = change[2, 0] = change[3, 3] = 1
    return change
