"""Prepared cases of different shapes, kept once: in memory where they fit, else in memory-mapped files."""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from medcnn.data.cache import CachePlan, cache_key, own_cache, report_excluded
from medcnn.data.decode import in_turn
from medcnn.data.labeled import LabeledVolumes
from medcnn.data.ripe import MOST_PLACES, Ripe, ripe
from medcnn.errors import ReadError

FORMAT = 1  # of a cache on disk; another number, another key
_PARTS = ("image", "mask", "places")


@dataclass(frozen=True, eq=False)
class RipeCases:
    """Every readable case of a cohort, prepared.

    Attributes:
        cases: One a case, in the order of the source.
        excluded: Row in the source -> reason code, for what could not be read.
    """

    cases: list[Ripe]
    excluded: dict[int, str] = field(default_factory=dict)


def prepare_cases(volumes: LabeledVolumes, preprocess: Sequence[Any], spec: Any, plan: CachePlan) -> RipeCases:
    """Every case of a cohort, read, checked and preprocessed once.

    Args:
        volumes: The source.
        preprocess: Transforms of case dicts, applied in this order.
        spec: The same pipeline as plain data; part of the files' key. None where it is not known: then no file
            is used again.
        plan: Where they go. With ``allow_unreadable`` 0, the first damaged file is refused by its name.

    Raises:
        ReadError: If more files than allowed are damaged, or nothing is left.
        ManifestError: If an image and its label do not fit each other.
        ConfigError: If a label holds an unknown value, or preprocessing leaves no image and mask on one grid.
    """
    entry = None
    if plan.folder is not None and spec is not None:
        key = [spec, FORMAT, len(volumes.classes), MOST_PLACES]
        entry = plan.folder / cache_key(volumes, key, plan.store)
    if entry is not None and (entry / "index.json").is_file():
        done = _open(entry, plan)
    else:
        work = partial(ripe, volumes, list(preprocess), plan.store, plan.allow_unreadable == 0)
        with contextlib.closing(_Writer(plan, entry)) as writer:
            for case in in_turn(work, len(volumes), plan.workers):
                writer.add(case)
            done = writer.finish()
    report_excluded(done.excluded, len(volumes), plan.allow_unreadable)
    if not done.cases:
        raise ReadError("unreadable", "the cohort has no readable case")
    return done


class _Writer:
    """Takes cases one by one, into memory as long as they fit, then into files under a temporary name."""

    def __init__(self, plan: CachePlan, entry: Path | None) -> None:
        self.plan, self.entry = plan, entry
        self.cases: list[Ripe] = []
        self.index: list[dict[str, Any]] = []
        self.excluded: dict[int, str] = {}
        self.folder: Path | None = None
        self.streams: dict[str, BinaryIO] = {}
        self.bytes = 0
        if entry is not None:
            self._to_files()

    def add(self, case: Ripe) -> None:
        if case.reason:
            self.excluded[case.row] = case.reason
            return
        self.bytes += case.image.nbytes + case.mask.nbytes
        if self.folder is None and self.bytes > self.plan.budget_mb * 2**20:
            self._to_files()
        if self.folder is None:
            self.cases.append(case)
        else:
            self._write(case)

    def _to_files(self) -> None:
        parent = self.plan.folder or own_cache()
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = Path(tempfile.mkdtemp(prefix="unfinished-", dir=parent))
        self.streams = {part: (self.folder / f"{part}.bin").open("wb") for part in _PARTS}
        for case in self.cases:
            self._write(case)
        self.cases.clear()

    def _write(self, case: Ripe) -> None:
        self.streams["image"].write(case.image.data)
        self.streams["mask"].write(case.mask.data)
        for places in case.places:
            self.streams["places"].write(places.data)
        self.index.append(_told(case))

    def finish(self) -> RipeCases:
        if self.folder is None:
            return RipeCases(self.cases, self.excluded)
        for stream in self.streams.values():
            stream.close()
        index = {"cases": self.index, "excluded": self.excluded, "store": self.plan.store}
        (self.folder / "index.json").write_text(json.dumps(index))
        if self.entry is None:
            # Too large for memory and not to be used again: the files go when their last reader does.
            return _open(self.folder, self.plan)
        try:
            self.folder.rename(self.entry)
        except OSError:
            # Another process finished the same entry first; its cases are these.
            if not (self.entry / "index.json").is_file():
                raise
        return _open(self.entry, self.plan)

    def close(self) -> None:
        """Removes what is not an entry to keep: an unfinished one, or files that only this run can use."""
        for stream in self.streams.values():
            stream.close()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def _told(case: Ripe) -> dict[str, Any]:
    """All of a case but its arrays of voxels, as plain data; JSON keeps every digit of a float."""
    return {
        "row": case.row,
        "shape": case.image.shape,
        "places": [len(places) for places in case.places],
        "affine": case.affine.tolist(),
        "voxels": case.voxels.tolist(),
        "source_shape": case.source_shape,
        "source_affine": case.source_affine.tolist(),
        "source_voxels": case.source_voxels.tolist(),
        "content": case.content,
        "label_content": case.label_content,
        "flags": case.flags,
    }


def _open(entry: Path, plan: CachePlan) -> RipeCases:
    index = json.loads((entry / "index.json").read_text())
    fits = sum((entry / f"{part}.bin").stat().st_size for part in _PARTS) <= plan.budget_mb * 2**20
    kinds = {"image": np.dtype(index["store"]), "mask": np.dtype(np.uint8), "places": np.dtype(np.int64)}
    flat = {part: _Flat(_values(entry / f"{part}.bin", kind, fits)) for part, kind in kinds.items()}
    excluded = {int(row): reason for row, reason in index["excluded"].items()}
    return RipeCases([_case(told, flat) for told in index["cases"]], excluded)


def _values(path: Path, kind: np.dtype[Any], whole: bool) -> np.ndarray:
    if whole or not path.stat().st_size:  # an empty file cannot be mapped
        return np.fromfile(path, kind)
    # Copy-on-write pages: torch wants writable memory, and nobody may write into the file.
    return np.memmap(path, kind, "c")


class _Flat:
    """Arrays that lie one after another."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.at = values, 0

    def take(self, shape: Sequence[int]) -> np.ndarray:
        begun, self.at = self.at, self.at + int(np.prod(shape, dtype=np.int64))
        return self.values[begun : self.at].reshape(shape)


def _case(told: dict[str, Any], flat: dict[str, _Flat]) -> Ripe:
    shape = tuple(told["shape"])
    return Ripe(
        row=told["row"],
        image=flat["image"].take(shape),
        mask=flat["mask"].take(shape[1:]),
        places=tuple(flat["places"].take((count,)) for count in told["places"]),
        affine=np.asarray(told["affine"], np.float64),
        voxels=np.asarray(told["voxels"], np.int64),
        source_shape=tuple(told["source_shape"]),
        source_affine=np.asarray(told["source_affine"], np.float64),
        source_voxels=np.asarray(told["source_voxels"], np.int64),
        content=told["content"],
        label_content=told["label_content"],
        flags=tuple(told["flags"]),
    )
