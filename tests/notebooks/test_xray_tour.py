"""The tour of an X-ray, from a folder to a report, runs from its first cell to its last."""

from pathlib import Path

import pytest
from tours import FOLDER, complaints, definitions, executed, sources


def test_the_two_forms_of_the_tour_are_one() -> None:
    assert sources(FOLDER / "xray.py") == sources(FOLDER / "xray.ipynb")
    assert definitions(FOLDER / "xray.py") == [], "a tour imports medcnn and defines nothing"


@pytest.mark.slow
def test_the_tour_ends_with_a_report_and_findings(tmp_path: Path) -> None:
    notebook = executed("xray", tmp_path)
    assert not complaints(notebook)
    assert (tmp_path / "tour_xray" / "report" / "report.html").stat().st_size > 100_000
    assert (tmp_path / "tour_xray" / "findings" / "findings.csv").is_file()
    assert (tmp_path / "tour_xray" / "explained.png").is_file()
