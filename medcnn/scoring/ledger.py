"""The memory of a scoring folder: one row a file, safe under a kill at any instant."""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from medcnn.errors import MedcnnError
from medcnn.files import make_folder

_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    name BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('scored', 'skipped', 'failed')),
    reason TEXT NOT NULL, sentence TEXT NOT NULL,
    study TEXT NOT NULL, series TEXT NOT NULL, sop TEXT NOT NULL,
    flags TEXT NOT NULL, probabilities TEXT NOT NULL
) WITHOUT ROWID;
"""


class Stamp(NamedTuple):
    """What tells a changed file from the one that was seen before."""

    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Row:
    """What became of one file.

    Attributes:
        name: Path relative to the source, as the bytes the file system has: a name need not be text.
        stamp: Size and time of change when the file was listed.
        state: ``scored``, ``skipped`` (nothing to score in it) or ``failed`` (an image that was not scored).
        reason: A reason code, empty where scored.
        sentence: The reason in words.
        study: Study instance UID, empty outside DICOM; likewise ``series`` and ``sop``.
        flags: What a reader of the finding should know.
        probabilities: One number a class or finding, empty where not scored.
    """

    name: bytes
    stamp: Stamp
    state: str
    reason: str = ""
    sentence: str = ""
    study: str = ""
    series: str = ""
    sop: str = ""
    flags: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()


@contextmanager
def writing_out() -> Iterator[None]:
    """Turn what a full, read-only or damaged OUT raises into a line that a user can act on."""
    try:
        yield
    except sqlite3.Error as error:
        raise MedcnnError(
            f"the ledger in OUT cannot be used ({error}): free the disk or the file; if it is damaged, give a fresh OUT"
        ) from error
    except OSError as error:
        # strerror alone: the full text of an OSError carries the path.
        raise MedcnnError(
            f"OUT cannot be written ({error.strerror or type(error).__name__}): give a folder with room that is yours"
        ) from error


class Ledger:
    """An open ledger, held by one scorer at a time.

    A write-ahead log keeps every committed row through a kill; the primary key keeps a file from standing in it
    twice. The lock is the operating system's, so it goes with the process that held it, however that ended.

    Args:
        out: Folder of the findings; created if missing.
        about: What every row in it has in common (model digest, classes, source). A ledger that was made under
            other values is refused, since its rows could not stand in one table with the new ones.

    Raises:
        MedcnnError: If OUT is a file, cannot be written, is in use, or belongs to another model or source.
    """

    FILE = "ledger.sqlite"
    LOCK = "ledger.lock"

    def __init__(self, out: Path, about: Mapping[str, str]) -> None:
        self.out = out
        with writing_out():
            self._lock = _locked(out)
            try:
                self._db = self._open()
                self._agree(about)
            except BaseException:
                os.close(self._lock)
                raise

    def _open(self) -> sqlite3.Connection:
        # Readable by the owner alone; SQLite gives its log the same mode.
        os.close(os.open(self.out / self.FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        db = sqlite3.connect(self.out / self.FILE, isolation_level=None)
        # Exclusive before WAL: no shared memory is then needed, which network file systems do not have.
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.executescript(_SCHEMA)
        return db

    def _agree(self, about: Mapping[str, str]) -> None:
        known = dict(self._db.execute("SELECT key, value FROM about"))
        for key, value in about.items():
            if known.get(key, value) != value:
                self._db.close()
                raise MedcnnError(
                    f"OUT holds the findings of another {key}: findings of two would stand in one table; "
                    "give a fresh OUT"
                )
        self._db.executemany("INSERT OR IGNORE INTO about VALUES (?, ?)", about.items())

    def stamps(self) -> dict[bytes, tuple[Stamp, str]]:
        """Stamp and state of every file that has a row."""
        rows = self._db.execute("SELECT name, size, mtime_ns, state FROM files")
        return {name: (Stamp(size, mtime), state) for name, size, mtime, state in rows}

    def write(self, rows: Iterable[Row]) -> None:
        """Add or replace rows, all of them or none."""
        with writing_out(), self._transaction():
            self._db.executemany(
                f"INSERT OR REPLACE INTO files VALUES ({', '.join('?' * 11)})",  # noqa: S608
                [_to_columns(row) for row in rows],
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:  # a full disk has already rolled it back
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def rows(self) -> Iterator[Row]:
        """Every row, ordered by name."""
        for columns in self._db.execute("SELECT * FROM files ORDER BY name"):
            yield _from_columns(columns)

    def close(self) -> None:
        """Close the file and let the next scorer in."""
        self._db.close()
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def refuse_taken(out: Path) -> None:
    """Ask whether another run is at work in ``out``, before a minute goes into importing and loading a model.

    Raises:
        MedcnnError: If one is.
    """
    if (out / Ledger.LOCK).is_file():
        with writing_out():
            os.close(_locked(out))


def _locked(out: Path) -> int:
    if out.exists() and not out.is_dir():
        raise MedcnnError("OUT is a file: give a folder for the findings")
    make_folder(out)
    lock = os.open(out / Ledger.LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise MedcnnError("another run is at work in this OUT: wait for it, or give another OUT") from None
    return lock


def _to_columns(row: Row) -> tuple[object, ...]:
    probabilities = json.dumps(row.probabilities, allow_nan=False)
    uids = (row.study, row.series, row.sop)
    return (row.name, *row.stamp, row.state, row.reason, row.sentence, *uids, ";".join(row.flags), probabilities)


def _from_columns(columns: tuple[object, ...]) -> Row:
    name, size, mtime_ns, state, reason, sentence, study, series, sop, flags, probabilities = columns
    assert isinstance(name, bytes)
    assert isinstance(size, int)
    assert isinstance(mtime_ns, int)
    return Row(
        name,
        Stamp(size, mtime_ns),
        str(state),
        str(reason),
        str(sentence),
        str(study),
        str(series),
        str(sop),
        tuple(filter(None, str(flags).split(";"))),
        tuple(json.loads(str(probabilities))),
    )
