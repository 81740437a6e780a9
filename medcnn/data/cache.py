"""Fixed preprocessing, done once: in memory where it fits, else in a memory-mapped file that is whole or absent."""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from medcnn.data.decode import Ready, ready_all
from medcnn.data.images import Images
from medcnn.errors import ConfigError, ReadError

Store = Literal["float32", "float16", "uint8"]
FORMAT = 1  # of a cache on disk; another number, another key
_log = logging.getLogger("medcnn.data")


class Stamped(Protocol):
    """Files that a cache is made of."""

    def state(self) -> list[str]:
        """A line for each image that changes when the image does."""
        ...


@dataclass(frozen=True)
class Prepared:
    """Images of a cohort after preprocessing; unreadable ones are left out and counted.

    Attributes:
        images: ``(N, C, *spatial)``, in memory or memory-mapped.
        rows: Row in the source of each image.
        contents: Digest of each image's pixels before preprocessing.
        flags: What was odd about each image.
        excluded: Row in the source -> reason code, for what could not be read.
    """

    images: Tensor
    rows: list[int]
    contents: list[str]
    flags: list[tuple[str, ...]]
    excluded: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CachePlan:
    """Where prepared images go.

    Attributes:
        store: Number type they are kept in; anything but float32 is refused where it would change a value.
        budget_mb: What they may take of memory; more goes to a file.
        folder: Folder for that file, used again by the next run; None keeps small cohorts in memory alone.
        workers: Decoding processes; None for all cores.
        allow_unreadable: Share of the files that may be unreadable before preparing is refused.
    """

    store: Store = "float32"
    budget_mb: float = 2048
    folder: Path | None = None
    workers: int | None = None
    allow_unreadable: float = 0.05


def prepare(images: Images, preprocess: Sequence[Any], spec: Any, plan: CachePlan) -> Prepared:
    """Every readable image of a cohort, preprocessed.

    Args:
        images: The source.
        preprocess: Transforms of case dicts, applied in this order.
        spec: The same pipeline as plain data; part of the file's key. None where it is not known: then no
            file is used again.
        plan: Where they go.

    Raises:
        ConfigError: If shapes differ, values are not finite, or the number type would change them.
        ReadError: If more than the allowed share is unreadable, or nothing is left.
    """
    entry = None if plan.folder is None or spec is None else plan.folder / cache_key(images, spec, plan.store)
    if entry is not None and (entry / "index.json").is_file():
        found = _open(entry, plan)
        report_excluded(found.excluded, len(images), plan.allow_unreadable)
        return found
    writer = _Writer(images, plan, entry)
    with contextlib.closing(writer):
        for result in ready_all(images, preprocess, plan.workers):
            writer.add(result)
        return writer.finish()


def own_cache() -> Path:
    """Return the user's folder for files that can be made again, where no ``cache_dir`` is given."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "medcnn"


def cache_key(images: Stamped, spec: Any, store: str) -> str:
    """Name of a cache entry: another file, size, time of change, pipeline or number type gives another name."""
    digest = hashlib.blake2b(digest_size=16)
    for line in [str(FORMAT), store, json.dumps(spec, sort_keys=True), *images.state()]:
        digest.update(line.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


class _Writer:
    """Takes images one by one, into memory or into a file under a temporary name."""

    def __init__(self, images: Images, plan: CachePlan, entry: Path | None) -> None:
        self.source, self.plan, self.entry = images, plan, entry
        self.values: np.ndarray | None = None
        self.folder: Path | None = None
        self.rows: list[int] = []
        self.contents: list[str] = []
        self.flags: list[tuple[str, ...]] = []
        self.excluded: dict[int, str] = {}

    def add(self, result: Ready) -> None:
        if result.reason:
            self.excluded[result.row] = result.reason
            return
        if self.values is None:
            self.values = self._room(result.image.shape)
        if result.image.shape != self.values.shape[1:]:
            raise ConfigError(
                f"{self.source.name(result.row)} is {_shape(result.image.shape)} after preprocessing but "
                f"{self.source.name(self.rows[0])} is {_shape(self.values.shape[1:])}: "
                "add an AreaResized, for volumes a ResizeWithPadOrCropd, so that all images share one shape"
            )
        at = len(self.rows)
        self.values[at] = result.image
        if self.plan.store != "float32" and not np.array_equal(
            self.values[at].astype(np.float64), result.image.astype(np.float64)
        ):
            raise ConfigError(
                f"{self.source.name(result.row)}: {self.plan.store} would change its values; use store: float32"
            )
        self.rows.append(result.row)
        self.contents.append(result.content)
        self.flags.append(result.flags)

    def _room(self, shape: tuple[int, ...]) -> np.ndarray:
        whole, kind = (len(self.source), *shape), np.dtype(self.plan.store)
        fits = np.prod(whole, dtype=np.float64) * kind.itemsize <= self.plan.budget_mb * 2**20
        if fits and self.entry is None:
            return np.empty(whole, kind)
        parent = self.plan.folder or own_cache()
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = Path(tempfile.mkdtemp(prefix="unfinished-", dir=parent))
        return np.lib.format.open_memmap(self.folder / "images.npy", "w+", kind, whole)

    def finish(self) -> Prepared:
        report_excluded(self.excluded, len(self.source), self.plan.allow_unreadable)
        if self.values is None:
            raise ReadError("unreadable", "the cohort has no readable image: see `medcnn audit` for the reasons")
        if self.folder is None:
            values = torch.from_numpy(self.values[: len(self.rows)])
            return Prepared(values, self.rows, self.contents, self.flags, self.excluded)
        return self._finish_file(self.folder)

    def _finish_file(self, folder: Path) -> Prepared:
        assert isinstance(self.values, np.memmap)
        self.values.flush()
        index = {"rows": self.rows, "contents": self.contents, "flags": self.flags, "excluded": self.excluded}
        (folder / "index.json").write_text(json.dumps(index))
        if self.entry is None:
            # Too large for memory and not to be used again: the file goes when its last reader does.
            prepared = _open(folder, self.plan)
            return prepared
        try:
            folder.rename(self.entry)
        except OSError:
            # Another process finished the same entry first; its images are these.
            if not (self.entry / "index.json").is_file():
                raise
        return _open(self.entry, self.plan)

    def close(self) -> None:
        """Removes what is not an entry to keep: an unfinished one, or a file that only this run can use."""
        self.values = None
        if self.folder is not None:
            # An open map outlives its name, so an entry that is not to be kept can lose it now.
            shutil.rmtree(self.folder, ignore_errors=True)


def _open(entry: Path, plan: CachePlan) -> Prepared:
    index = json.loads((entry / "index.json").read_text())
    path = entry / "images.npy"
    fits = path.stat().st_size <= plan.budget_mb * 2**20
    # Copy-on-write pages: torch wants writable memory, and nobody may write into the file.
    values = np.load(path, mmap_mode=None if fits else "c", allow_pickle=False)[: len(index["rows"])]
    excluded = {int(row): reason for row, reason in index["excluded"].items()}
    flags = [tuple(each) for each in index["flags"]]
    return Prepared(torch.from_numpy(values), index["rows"], index["contents"], flags, excluded)


def report_excluded(excluded: dict[int, str], count: int, allowed: float) -> None:
    """Says how many images were left out and why, and refuses more than the allowed share.

    Raises:
        ReadError: If more than ``allowed`` of ``count`` images are unreadable.
    """
    if not excluded:
        return
    reasons = tally(excluded.values())
    told = ", ".join(f"{reason} {number}" for reason, number in reasons.items())
    if len(excluded) > allowed * count:
        raise ReadError(
            "unreadable",
            f"{len(excluded)} of {count} images are unreadable ({told}), more than allow_unreadable={allowed}: "
            "`medcnn audit` lists them by name",
        )
    _log.warning(
        "%d of %d images left out as unreadable (%s); `medcnn audit` lists them by name", len(excluded), count, told
    )


def tally(items: Iterable[str]) -> dict[str, int]:
    """How often each item occurs, by name."""
    names, counts = np.unique(np.asarray(list(items), dtype=object), return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
