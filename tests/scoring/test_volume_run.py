import pytest

from medcnn.errors import MedcnnError
from medcnn.io.find import REASONS
from medcnn.scoring.ledger import Stamp
from medcnn.scoring.preparation import Refusal
from medcnn.scoring.source import Listed
from medcnn.scoring.volume_run import NO_SEG, refused, seg_flags


def test_a_segmentation_that_cannot_be_written_is_a_flag() -> None:
    def fail() -> tuple[str, ...]:
        raise MedcnnError("the segmentation cannot be encoded")

    assert seg_flags(fail) == (NO_SEG,)
    assert seg_flags(lambda: ("PatientSex", "StudyTime")) == ("seg_without_PatientSex", "seg_without_StudyTime")


@pytest.mark.parametrize(("reason", "state"), [("localizer", "skipped"), ("gaps", "failed"), ("incomplete", "failed")])
def test_only_what_is_no_volume_by_intention_is_skipped(reason: str, state: str) -> None:
    assert reason in REASONS
    row = refused(Listed("item", b"s012345678901", Stamp(1, 1)), Refusal(reason, "a sentence"))  # type: ignore[arg-type]
    assert (row.state, row.reason) == (state, reason)
