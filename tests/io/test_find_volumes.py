"""A folder's volumes: each NIfTI file, and each folder that holds DICOM slices."""

from pathlib import Path

import numpy as np

from medcnn.io.find_volumes import find_volumes
from medcnn.io.nifti import write_nifti
from medcnn.io.series_write import write_series


def test_files_and_series_are_found_once_and_the_rest_is_counted(tmp_path: Path) -> None:
    voxels = np.zeros((3, 4, 5), np.int16)
    (tmp_path / "deep").mkdir()
    write_nifti(tmp_path / "a.nii.gz", voxels, np.eye(4))
    write_nifti(tmp_path / "deep" / "b.nii", voxels, np.eye(4))
    write_series(tmp_path / "deep" / "series", voxels, np.eye(4))
    lone = write_series(tmp_path, voxels[:1], np.eye(4), names=["multiframe.dcm"])
    (tmp_path / "notes.txt").write_text("nothing")
    volumes, others = find_volumes(tmp_path)
    assert volumes == [
        tmp_path / "a.nii.gz", tmp_path / "deep" / "b.nii", tmp_path / "deep" / "series", *lone
    ]  # fmt: skip
    assert others == 1
