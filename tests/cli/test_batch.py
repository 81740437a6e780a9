"""What verbs over volumes say at their end."""

from collections import Counter

from medcnn.cli.batch import volumes_told
from medcnn.scoring.tally import Tally


def test_every_state_reason_and_flag_is_counted_aloud() -> None:
    tally = Tally(found=5, states=Counter(scored=2, failed=2, skipped=1), reasons=Counter(truncated=2, not_an_image=1))
    tally.done_now, tally.seconds, tally.flagged = 5, 2.04, 1
    assert volumes_told(tally, "stripped", "quality.csv", "look again", "all of it").splitlines() == [
        "5 volumes and other files found: 2 stripped, 1 skipped, 2 failed",
        "1 of them with flags, see quality.csv",
        "        1 not_an_image",
        "        2 truncated",
        "look again",
        "5 of them now, in 2.0 s",
        "OUT holds all of it",
    ]


def test_a_start_that_finds_nothing_new_says_so() -> None:
    told = volumes_told(Tally(found=1, states=Counter(scored=1)), "segmented", "volumes.csv", "", "masks")
    assert "nothing was new or had changed since the last start" in told
    assert "flags" not in told
