"""The memory of a scoring folder: one row a file, safe under a kill at any instant."""

import fcntl
import hashlib
import json
import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from medcnn.errors import MedcnnError
from medcnn.files import make_folder

#: Marks the file as ours, and the version of the tables in it.
_APPLICATION, _VERSION = 0x6D636E6E, 1
_TABLES = (
    """CREATE TABLE about (
    key TEXT PRIMARY KEY, value TEXT NOT NULL, checksum BLOB NOT NULL
) WITHOUT ROWID""",
    """CREATE TABLE files (
    name BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('scored', 'skipped', 'failed')),
    reason TEXT NOT NULL, sentence TEXT NOT NULL,
    study TEXT NOT NULL, series TEXT NOT NULL, sop TEXT NOT NULL,
    flags TEXT NOT NULL, probabilities TEXT NOT NULL, checksum BLOB NOT NULL
) WITHOUT ROWID""",
)
_DAMAGED = (
    "the ledger in OUT is damaged: move ledger.sqlite out of OUT and run again, which scores every file afresh, or "
    "give a fresh OUT"
)


class Stamp(NamedTuple):
    """State of a file by which a changed one is recognized.

    The time of the last change of its entry (``ctime``) cannot be set: a copy that keeps size and time of modification,
    as ``cp -p`` and ``rsync -t`` do, has another one.
    """

    size: int
    mtime_ns: int
    ctime_ns: int = 0


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


_STATES = {
    sqlite3.SQLITE_FULL: "the disk is full: free some of it",
    sqlite3.SQLITE_READONLY: "it is read-only: give a folder that is yours",
    sqlite3.SQLITE_BUSY: "another program has it open: close that",
}


@contextmanager
def writing_out() -> Iterator[None]:
    """Turn what a full, read-only or damaged OUT raises into a line that a user can act on."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter where SQLite quotes damaged text
        # Never its text: it quotes values of rows.
        state = _STATES.get(getattr(error, "sqlite_errorcode", 0))
        if state:
            raise MedcnnError(f"the ledger in OUT cannot be written ({state})") from None
        if isinstance(error, sqlite3.IntegrityError):
            raise MedcnnError("the ledger in OUT refused a row; this is a bug") from None
        raise MedcnnError(_DAMAGED) from None
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
                try:
                    self._agree(about)
                except BaseException:
                    self._db.close()
                    raise
            except BaseException:
                os.close(self._lock)
                raise

    def _open(self) -> sqlite3.Connection:
        # Readable by the owner alone; SQLite gives its log the same mode.
        handle = os.open(self.out / self.FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        with os.fdopen(handle) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise MedcnnError(f"{self.FILE} in OUT is not a file: give a fresh OUT")
        db = sqlite3.connect(self.out / self.FILE, isolation_level=None)
        try:
            # Exclusive before WAL: no shared memory is then needed, which network file systems do not have.
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute("PRAGMA trusted_schema=OFF")
            _check_tables(db)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
        except BaseException:
            db.close()
            raise
        return db

    def _agree(self, about: Mapping[str, str]) -> None:
        known = {}
        for key, value, checksum in self._db.execute("SELECT key, value, checksum FROM about"):
            if checksum != _checksum((key, value), b""):
                raise MedcnnError(_DAMAGED)
            known[key] = value
        for key, value in about.items():
            if known.get(key, value) != value:
                raise MedcnnError(
                    f"OUT holds the findings of another {key}: findings of two would be in one table; give a fresh OUT"
                )
        with self._transaction():
            self._db.executemany(
                "INSERT OR IGNORE INTO about VALUES (?, ?, ?)",
                [(key, value, _checksum((key, value), b"")) for key, value in about.items()],
            )
        self._key = _checksum(tuple(sorted(about.items())), b"")

    def stamps(self) -> dict[bytes, tuple[Stamp, str, str]]:
        """Stamp, state and reason of every file that has a row."""
        return {row.name: (row.stamp, row.state, row.reason) for row in self.rows()}

    def write(self, rows: Iterable[Row]) -> None:
        """Add or replace rows, all of them or none."""
        with writing_out(), self._transaction():
            self._db.executemany(
                f"INSERT OR REPLACE INTO files VALUES ({', '.join('?' * 13)})",  # noqa: S608
                [(*columns, _checksum(columns, self._key)) for columns in map(_to_columns, rows)],
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
        """Every row, ordered by name.

        Raises:
            MedcnnError: If a row is not what was written.
        """
        with writing_out():
            for *columns, checksum in self._db.execute("SELECT * FROM files ORDER BY name"):
                if checksum != _checksum(tuple(columns), self._key):
                    raise MedcnnError(_DAMAGED)
                yield _from_columns(tuple(columns))

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


def _check_tables(db: sqlite3.Connection) -> None:
    """Create the tables in an empty file; refuse those of another program or version, and damaged ones."""
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    if not pages:
        db.execute("BEGIN")
        db.execute(f"PRAGMA application_id={_APPLICATION}")
        db.execute(f"PRAGMA user_version={_VERSION}")
        for table in _TABLES:
            db.execute(table)
        db.execute("COMMIT")
    marks = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    if marks != [_APPLICATION, _VERSION]:
        raise MedcnnError(
            "ledger.sqlite in OUT is not of this version of medcnn, or its first bytes are damaged: give a fresh OUT"
        )
    if db.execute("PRAGMA integrity_check(1)").fetchall() != [("ok",)]:
        raise MedcnnError(_DAMAGED)
    if {sql for (sql,) in db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")} != set(_TABLES):
        raise MedcnnError(_DAMAGED)


def _checksum(values: tuple[object, ...], key: bytes) -> bytes:
    """Digest of values and their types; of rows it is keyed by the model and the source that they belong to."""
    return hashlib.blake2b(repr(values).encode(errors="backslashreplace"), digest_size=16, key=key).digest()


def _to_columns(row: Row) -> tuple[object, ...]:
    probabilities = json.dumps(row.probabilities, allow_nan=False)
    uids = (row.study, row.series, row.sop)
    return (row.name, *row.stamp, row.state, row.reason, row.sentence, *uids, ";".join(row.flags), probabilities)


def _from_columns(columns: tuple[object, ...]) -> Row:
    name, size, mtime_ns, ctime_ns, state, reason, sentence, study, series, sop, flags, probabilities = columns
    assert isinstance(name, bytes)
    assert isinstance(size, int)
    assert isinstance(mtime_ns, int)
    assert isinstance(ctime_ns, int)
    return Row(
        name,
        Stamp(size, mtime_ns, ctime_ns),
        str(state),
        str(reason),
        str(sentence),
        str(study),
        str(series),
        str(sop),
        tuple(filter(None, str(flags).split(";"))),
        tuple(json.loads(str(probabilities))),
    )
