"""The tour of a brain MRI, from a series to a mask, runs from its first cell to its last."""

from pathlib import Path

import numpy as np
import pytest
from tours import FOLDER, complaints, definitions, executed, sources

from medcnn.io.seg import read_seg


def test_the_two_forms_of_the_tour_are_one() -> None:
    assert sources(FOLDER / "brain_mri.py") == sources(FOLDER / "brain_mri.ipynb")
    assert definitions(FOLDER / "brain_mri.py") == [], "a tour imports medcnn and defines nothing"


@pytest.mark.slow
def test_the_tour_ends_with_a_mask_of_the_ventricles_and_a_report(tmp_path: Path) -> None:
    notebook = executed("brain_mri", tmp_path)
    assert not complaints(notebook)
    labels, affine = read_seg(next((tmp_path / "tour_mri" / "masks").rglob("*.dcm")))
    middle = affine @ np.append(np.argwhere(labels == 1).mean(axis=0), 1)
    assert np.linalg.norm(middle[:3] - [0, 5, 28]) < 8, "the ventricles were drawn around this place"
    assert (tmp_path / "tour_mri" / "report" / "report.html").is_file()
