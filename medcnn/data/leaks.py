"""No patient and no picture on two sides: the check, what to do about a leak, and the proof that none is left."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medcnn.data.split import SPLITS
from medcnn.errors import LeakError

OnLeak = Literal["refuse", "drop", "allow"]


@dataclass(frozen=True)
class Settled:
    """Splits after the check.

    Attributes:
        splits: ``train``, ``val``, ``test``, or "" for a case taken out.
        dropped: How many were taken out of each split.
        proof: How many patients and contents two splits share now, and how many cases were compared.
    """

    splits: np.ndarray
    dropped: dict[str, int]
    proof: dict[str, int]


def settle_leaks(
    splits: Sequence[str] | np.ndarray,
    patients: Sequence[Hashable],
    contents: Sequence[str],
    on_leak: OnLeak,
    name: Callable[[int], str],
) -> Settled:
    """Refuses, drops or allows cases whose patient or pixels stand in two splits.

    Dropping takes a copy of a test case out of training and validation, and a copy of a validation case out of
    training: what is measured stays as it was given.

    Args:
        splits: Split of each case.
        patients: Pseudonym of each case's patient.
        contents: Digest of each case's pixels.
        on_leak: What to do.
        name: Name of a case in an error.

    Raises:
        LeakError: Naming both files, if ``on_leak`` is ``refuse``.
    """
    rank = np.asarray([SPLITS.index(split) if split else -1 for split in splits])
    leaks = {"pixels": _leaking(rank, contents), "patient": _leaking(rank, patients)}
    settled = np.asarray(list(splits), dtype=object)
    if on_leak == "refuse":
        for what, (lower, upper) in leaks.items():
            if len(lower):
                raise LeakError(_message(what, int(lower[0]), int(upper[0]), len(lower), splits, name))
    if on_leak == "drop":
        settled[np.concatenate([lower for lower, _ in leaks.values()])] = ""
    out = {split: int(((np.asarray(splits, dtype=object) == split) & (settled == "")).sum()) for split in SPLITS}
    return Settled(
        settled, {split: count for split, count in out.items() if count}, leak_proof(settled, patients, contents)
    )


def leak_proof(
    splits: Sequence[str] | np.ndarray, patients: Sequence[Hashable], contents: Sequence[str]
) -> dict[str, int]:
    """How many patients and contents stand in more than one split."""
    used = [i for i, split in enumerate(splits) if split]
    return {
        "patients_shared": _shared([patients[i] for i in used], [splits[i] for i in used]),
        "contents_shared": _shared([contents[i] for i in used], [splits[i] for i in used]),
        "checked": len(used),
    }


def label_conflicts(contents: Sequence[str], labels: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of cases with equal pixels and different labels; an unknown label contradicts nothing."""
    labels = np.asarray(labels, dtype=float).reshape(len(contents), -1)
    known = np.isfinite(labels) & (labels >= 0)
    first: dict[str, list[int]] = {}
    pairs = []
    for row, content in enumerate(contents):
        for other in first.setdefault(content, []):
            if ((labels[row] != labels[other]) & known[row] & known[other]).any():
                pairs.append((other, row))
                break
        first[content].append(row)
    return pairs


def _leaking(rank: np.ndarray, keys: Sequence[Hashable]) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose key also stands in a later split, and one such row of the later split for each."""
    latest: dict[Hashable, int] = {}
    for row, key in enumerate(keys):
        if rank[row] >= 0 and (key not in latest or rank[row] > rank[latest[key]]):
            latest[key] = row
    lower = [row for row, key in enumerate(keys) if 0 <= rank[row] < rank[latest.get(key, row)]]
    return np.asarray(lower, dtype=int), np.asarray([latest[keys[row]] for row in lower], dtype=int)


def _shared(keys: Sequence[Hashable], splits: Sequence[str]) -> int:
    sides: dict[Hashable, set[str]] = {}
    for key, split in zip(keys, splits, strict=True):
        sides.setdefault(key, set()).add(split)
    return sum(len(side) > 1 for side in sides.values())


def _message(
    what: str, lower: int, upper: int, count: int, splits: Sequence[str] | np.ndarray, name: Callable[[int], str]
) -> str:
    same = "hold the same pixels" if what == "pixels" else "show the same patient"
    more = f" ({count} such cases)" if count > 1 else ""
    return (
        f"{name(lower)} ({splits[lower]}) and {name(upper)} ({splits[upper]}) {same}{more}: "
        "give both one split, remove one, or set on_leak to drop (takes the copy out of training) or allow"
    )
