"""Training, validation and test: by patient, stratified by label, the same for the same seed."""

import hashlib
from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd

from medcnn.errors import ConfigError, ManifestError

SPLITS = ("train", "val", "test")


def split_cases(
    patients: Sequence[Hashable],
    labels: np.ndarray,
    fractions: tuple[float, float],
    seed: int,
    *,
    contents: Sequence[str] | None = None,
    given: Sequence[str] | None = None,
) -> np.ndarray:
    """A split for every case; all films of a patient, and all copies of a film, fall on one side.

    Args:
        patients: Pseudonym of each case's patient.
        labels: int ``(n,)`` with -1 unknown, or float ``(n, K)`` with NaN unknown.
        fractions: Shares of the cases for validation and test; either may be 0.
        seed: Decides who goes where, with the contents: neither the order of the rows, nor their paths, nor the key
            of the pseudonyms has a part in it, so a split is the same on every machine.
        contents: Digest of each case's pixels; equal ones are kept together. The patients decide the draw without them.
        given: A split for each case, honored as it stands. Where it has training but no validation cases, validation is
            taken out of training. All empty means none is given.

    Returns:
        ``train``, ``val`` or ``test`` for each case.

    Raises:
        ManifestError: If some cases have a split and others none, or one is unknown.
        ConfigError: If the fractions leave nothing to train on.
    """
    val, test = fractions
    if val < 0 or test < 0 or val + test >= 1:
        raise ConfigError(
            f"fractions (val, test) are {val} and {test}; expected shares that leave something to train on"
        )
    groups = groups_of(patients, contents)
    names = patients if contents is None else contents
    marks = np.asarray([""] * len(groups) if given is None else list(given), dtype=object)
    if (marks == "").all():
        return dealt(groups, names, labels, {"train": 1 - val - test, "val": val, "test": test}, seed)
    check_given(marks)
    training = marks == "train"
    if training.any() and not (marks == "val").any() and val > 0:
        chosen = np.flatnonzero(training)
        marks[chosen] = dealt(
            groups[chosen], [names[int(i)] for i in chosen], labels[chosen], {"train": 1 - val, "val": val}, seed
        )
    return marks


def groups_of(patients: Sequence[Hashable], contents: Sequence[str] | None = None) -> np.ndarray:
    """A number for each case, equal where cases share a patient or their pixels, directly or through others."""
    parent = list(range(len(patients)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for keys in (patients, contents or ()):
        first: dict[Hashable, int] = {}
        for i, key in enumerate(keys):
            parent[root(i)] = root(first.setdefault(key, i))
    return np.asarray([root(i) for i in range(len(parent))], dtype=np.int64)


def check_given(marks: np.ndarray) -> None:
    """Refuses splits that are unknown, or given for some cases and not for others."""
    unknown = sorted({str(mark) for mark in marks} - {*SPLITS, ""})
    if unknown:
        raise ManifestError(f"split is {unknown[0]!r} for some cases; expected train, val or test")
    empty = int((marks == "").sum())
    if empty:
        raise ManifestError(
            f"{empty} of {len(marks)} cases have no split while the others have one: fill the column, or drop it"
        )


def dealt(
    groups: np.ndarray, names: Sequence[Hashable], labels: np.ndarray, shares: dict[str, float], seed: int
) -> np.ndarray:
    """Deals groups so that each class is spread by ``shares``: the rarest class first, to where most is missing.

    Missing is measured against what a split should get, so a class of three patients is seen in all three splits, and
    patients with many films are not drawn to the largest split.
    """
    sides = [side for side, share in shares.items() if share > 0]
    share = np.asarray([shares[side] for side in sides])
    _, member = np.unique(groups, return_inverse=True)
    counts = class_counts(member, labels)
    order = drawn_order(member, names, seed)
    totals = counts.sum(axis=0)
    wanted = share[:, None] * np.maximum(totals, 1)
    have = np.zeros_like(wanted)
    side = np.full(len(counts), -1)
    # The last column counts cases, whatever their label: it deals what has no label and breaks ties.
    for column in [*np.argsort(totals[:-1], kind="stable"), counts.shape[1] - 1]:
        for group in order[(side[order] < 0) & (counts[order, column] > 0)]:
            filled = have / wanted
            best = min(range(len(sides)), key=lambda s: (filled[s, column], filled[s, -1]))
            side[group] = best
            have[best] += counts[group]
    return np.asarray(sides, dtype=object)[side[member]]


def class_counts(member: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Cases of each class in each group, and in the last column all of its cases ``(groups, classes + 1)``."""
    labels = np.asarray(labels)
    if labels.ndim == 1:
        known = np.unique(labels[labels >= 0])
        hot = labels[:, None] == known[None, :]
    else:
        hot = labels > 0.5
    counts = np.zeros((member.max() + 1, hot.shape[1] + 1))
    np.add.at(counts, member, np.column_stack([hot, np.ones(len(hot), dtype=bool)]).astype(float))
    return counts


def drawn_order(member: np.ndarray, names: Sequence[Hashable], seed: int, what: str = "") -> np.ndarray:
    """Order the groups at random, as the names of their cases, the seed and ``what`` alone decide."""
    # A group is known by its least name, so rows may come in any order.
    least = pd.Series([str(name) for name in names]).groupby(member).min()
    keys = [hashlib.blake2b(f"{what}{seed} {name}".encode(), digest_size=8).digest() for name in least]
    return np.asarray(sorted(range(len(keys)), key=keys.__getitem__))
