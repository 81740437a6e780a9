import pytest

from medcnn.io.find import REASONS
from medcnn.scoring.reasons import ALL_REASONS, state_of


@pytest.mark.parametrize(
    ("name", "reason", "state"),
    [
        ("README.txt", "not_an_image", "skipped"),
        ("Thumbs.db", "not_an_image", "skipped"),
        (".keep.me", "empty", "skipped"),
        ("DICOMDIR", "unsupported_object", "skipped"),
        ("report.dcm", "unsupported_object", "skipped"),
        ("others", "link_outside", "skipped"),
        ("again.dcm", "copy", "skipped"),
        ("s012345678901", "localizer", "skipped"),
        ("dose.dcm", "screenshot", "skipped"),
        ("study.zip", "archive", "skipped"),
        ("s012345678901", "remainder", "failed"),
        ("s012345678901", "several_patients", "failed"),
        ("film.DCM", "not_an_image", "failed"),
        ("film.png", "empty", "failed"),
        ("IM000001", "empty", "failed"),
        ("1.2.840.113", "empty", "failed"),
        ("a.b/IM000001", "empty", "failed"),
        ("notes.txt", "unreadable", "failed"),
        ("film", "truncated", "failed"),
    ],
)
def test_a_lost_image_counts_and_a_foreign_file_does_not(name: str, reason: str, state: str) -> None:
    assert state_of(name, reason) == state


def test_every_reason_has_a_sentence() -> None:
    assert ALL_REASONS.keys() > REASONS.keys()
    assert all(ALL_REASONS.values())
