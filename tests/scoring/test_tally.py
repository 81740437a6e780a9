from medcnn.scoring.ledger import Row, Stamp
from medcnn.scoring.tally import Tally


def test_the_rate_is_that_of_images_not_of_what_was_skipped_in_an_instant() -> None:
    tally = Tally(found=1011)
    tally.add(Row(b"%d" % number, Stamp(1, 1), "skipped", "not_an_image") for number in range(1000))
    assert tally.rate == 0
    tally.add(Row(b"film %d" % number, Stamp(1, 1), "scored") for number in range(11))
    tally.first_s, tally.seconds = 5.0, 10.0
    assert tally.rate == 2.0


def test_a_run_that_did_nothing_shows_in_the_exit_code() -> None:
    tally = Tally(found=2)
    tally.add([Row(b"README", Stamp(1, 1), "skipped", "not_an_image")])
    tally.add([Row(b"study.zip", Stamp(1, 1), "skipped", "archive")])
    assert tally.exit_code == 3
    tally.found += 1
    tally.add([Row(b"film.png", Stamp(1, 1), "scored")])
    assert tally.exit_code == 0, "an archive next to images that were scored is listed and no more"
