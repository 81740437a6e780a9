import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from medcnn.errors import MedcnnError
from medcnn.scoring.ledger import Ledger, Row, Stamp, refuse_taken

ABOUT = {"model": "m", "source": "s"}
WRITER = """
import sys
from pathlib import Path
from medcnn.scoring.ledger import Ledger, Row, Stamp
with Ledger(Path(sys.argv[1]), {"model": "m", "source": "s"}) as ledger:
    start = len(ledger.stamps())
    for number in range(start, start + 100000, 3):
        ledger.write(Row(b"%d" % n, Stamp(n, n), "scored", probabilities=(n / 7,)) for n in range(number, number + 3))
        print(number + 3, flush=True)
"""


def row(name: bytes = b"film", **changes: object) -> Row:
    return Row(**{"name": name, "stamp": Stamp(10, 20), "state": "scored", **changes})  # type: ignore[arg-type]


def test_a_row_comes_back_as_it_was(tmp_path: Path) -> None:
    full = row(b"\xff\n'; DROP TABLE files", study="1.2", series="1.3", sop="1.4", flags=("color", "lossy"),
               probabilities=(0.1, 1 / 3))  # fmt: skip
    refused = row(b"b", stamp=Stamp(-1, -1), state="failed", reason="truncated", sentence="it ends early")
    with Ledger(tmp_path, ABOUT) as ledger:
        ledger.write([refused, full])
    with Ledger(tmp_path, ABOUT) as ledger:
        assert list(ledger.rows()) == [refused, full]
        assert ledger.stamps() == {
            full.name: (full.stamp, "scored", ""),
            b"b": (Stamp(-1, -1), "failed", "truncated"),
        }


def test_a_file_has_one_row_however_often_it_is_written(tmp_path: Path) -> None:
    with Ledger(tmp_path, ABOUT) as ledger:
        ledger.write([row(), row()])
        ledger.write([row(probabilities=(0.5,))])
        assert [kept.probabilities for kept in ledger.rows()] == [(0.5,)]


def test_rows_are_written_all_or_none(tmp_path: Path) -> None:
    with Ledger(tmp_path, ABOUT) as ledger:
        with pytest.raises(ValueError, match="not JSON compliant"):
            ledger.write([row(b"a"), row(b"b", probabilities=(float("nan"),))])
        with pytest.raises(MedcnnError, match="ledger in OUT refused a row"):
            ledger.write([row(b"a"), row(b"b", state="lost")])
        assert list(ledger.rows()) == []


def test_killed_again_and_again_no_acknowledged_row_is_lost(tmp_path: Path) -> None:
    chance = random.Random(0)
    acknowledged = 0
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE, text=True)
        assert process.stdout
        process.stdout.readline()
        time.sleep(chance.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        acknowledged = max(acknowledged, *(int(line) for line in process.communicate()[0].splitlines()), 0)
        with Ledger(tmp_path, ABOUT) as ledger:
            names = sorted(int(kept.name) for kept in ledger.rows())
        assert names == list(range(len(names)))
        assert len(names) >= acknowledged
        assert len(names) % 3 == 0


def test_the_lock_goes_with_its_holder(tmp_path: Path) -> None:
    with Ledger(tmp_path, ABOUT), pytest.raises(MedcnnError, match="another run is at work"):
        Ledger(tmp_path, ABOUT)
    Ledger(tmp_path, ABOUT).close()


def test_a_folder_that_is_taken_is_told_before_anything_is_made(tmp_path: Path) -> None:
    refuse_taken(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with Ledger(tmp_path, ABOUT), pytest.raises(MedcnnError, match="another run is at work"):
        refuse_taken(tmp_path)
    refuse_taken(tmp_path)
    Ledger(tmp_path, ABOUT).close()


def test_a_refused_ledger_lets_the_next_one_in(tmp_path: Path) -> None:
    Ledger(tmp_path, ABOUT).close()
    with pytest.raises(MedcnnError, match="another model"):
        Ledger(tmp_path, {**ABOUT, "model": "other"})
    Ledger(tmp_path, ABOUT).close()


def test_a_damaged_ledger_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / Ledger.FILE).write_bytes(b"no database at all" * 1000)
    with pytest.raises(MedcnnError, match="fresh OUT"):
        Ledger(tmp_path, ABOUT)


def test_a_full_disk_is_told_in_a_line_and_the_old_rows_stay(tmp_path: Path) -> None:
    with Ledger(tmp_path, ABOUT) as ledger:
        ledger.write([row()])
        ledger._db.execute("PRAGMA max_page_count=1")
        with pytest.raises(MedcnnError, match="full"):
            ledger.write(row(b"%d" % number, sentence="x" * 500) for number in range(100))
        assert [kept.name for kept in ledger.rows()] == [b"film"]


def test_an_out_that_cannot_be_made_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(MedcnnError, match="OUT"):
            Ledger(out, ABOUT)


def test_anyone_can_read_it_with_sqlite(tmp_path: Path) -> None:
    with Ledger(tmp_path, ABOUT) as ledger:
        ledger.write([row(probabilities=(0.25, 0.75))])
    kept = sqlite3.connect(tmp_path / Ledger.FILE).execute("SELECT name, probabilities FROM files").fetchall()
    assert kept == [(b"film", "[0.25, 0.75]")]


NAMES = [b"a/%03d.dcm" % number for number in range(200)]
ROWS = [
    row(name, study="1.2.840.99999", sentence="x" * 40, probabilities=(1 / (3 + n),)) for n, name in enumerate(NAMES)
]


@cache
def whole_ledger() -> bytes:
    with tempfile.TemporaryDirectory() as out:
        with Ledger(Path(out), ABOUT) as ledger:
            ledger.write(ROWS)
        return Path(out, Ledger.FILE).read_bytes()


FLIP = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255))


@example([(3825 / 40960, 128)], 1.0)
@given(st.lists(FLIP, min_size=1, max_size=6), st.one_of(st.just(1.0), st.floats(0, 1)))
@settings(max_examples=150, deadline=None)
def test_damage_is_refused_or_changes_no_row(flips: list[tuple[float, int]], kept: float) -> None:
    whole = whole_ledger()
    damaged = bytearray(whole)
    for place, value in flips:
        damaged[int(place * len(whole))] = value
    damaged = damaged[: int(kept * len(whole))]
    with tempfile.TemporaryDirectory() as out:
        Path(out, Ledger.FILE).write_bytes(damaged)
        refusal = ""
        try:
            with Ledger(Path(out), ABOUT) as ledger:
                assert set(ledger.rows()) <= set(ROWS)
        except MedcnnError as error:
            refusal = str(error)
        assert not any(text in refusal for text in ("1.2.840", ".dcm", "\n"))


def test_a_row_of_another_type_is_refused(tmp_path: Path) -> None:
    with Ledger(tmp_path, ABOUT) as ledger:
        ledger.write([row(), row(b"other")])
    for change in ("size = 'x'", "probabilities = 'x'", "study = x'ff'", "sop = 'Doe^Jane'", "name = 'film'"):
        shutil.copy(tmp_path / Ledger.FILE, tmp_path / "copy")
        db = sqlite3.connect(tmp_path / Ledger.FILE)
        db.execute(f"UPDATE files SET {change} WHERE name = x'66696c6d'")
        db.commit()
        db.close()
        with Ledger(tmp_path, ABOUT) as ledger, pytest.raises(MedcnnError, match="damaged"):
            list(ledger.rows())
        (tmp_path / "copy").replace(tmp_path / Ledger.FILE)


def test_rows_of_another_model_do_not_verify(tmp_path: Path) -> None:
    with Ledger(tmp_path, ABOUT) as ledger:
        ledger.write([row()])
    db = sqlite3.connect(tmp_path / Ledger.FILE)
    db.execute("DELETE FROM about")
    db.commit()
    db.close()
    with Ledger(tmp_path, {**ABOUT, "model": "other"}) as ledger, pytest.raises(MedcnnError, match="damaged"):
        list(ledger.rows())


@pytest.mark.parametrize("what", ["folder", "pipe", "link", "program", "older"])
def test_something_else_in_place_of_the_ledger_is_refused(tmp_path: Path, what: str) -> None:
    place = tmp_path / Ledger.FILE
    if what == "folder":
        place.mkdir()
    elif what == "pipe":
        os.mkfifo(place)
    elif what == "link":
        place.symlink_to(tmp_path / "elsewhere")
    else:
        db = sqlite3.connect(place)
        db.execute("CREATE TABLE files (name TEXT)")
        if what == "older":
            db.execute("PRAGMA user_version=7")
        db.close()
    with pytest.raises(MedcnnError, match="OUT"):
        Ledger(tmp_path, ABOUT)


def test_a_log_of_another_ledger_changes_no_row(tmp_path: Path) -> None:
    with Ledger(tmp_path, ABOUT) as ledger:
        ledger.write([row()])
    (tmp_path / f"{Ledger.FILE}-wal").write_bytes(b"\x37\x7f\x06\x82" + bytes(5000))
    with Ledger(tmp_path, ABOUT) as ledger:
        assert list(ledger.rows()) == [row()]
