"""How a model holds when images get worse: a figure against the strength of each corruption."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medcnn.explain.corruptions import CORRUPTIONS, STRENGTHS, corrupted, fitting
from medcnn.metrics.bootstrap import bootstrap_mean
from medcnn.metrics.estimate import NAN, Estimate
from medcnn.metrics.overlap import overlap

Array = NDArray[np.float64]
Answer = Callable[[Tensor], Tensor]
Batches = Iterable[tuple[Tensor, Tensor]]
UNTOUCHED = "none"


@dataclass(frozen=True)
class Row:
    """A figure at one strength of one corruption.

    Attributes:
        corruption: ``none`` for the untouched images.
        strength: 1 to 5; 0 for none.
        amount: In ``unit``.
        unit: Of the amount.
        figure: Name of what is told.
        value: With ``low`` and ``high``, its 95 % interval.
        low: NaN where there is none.
        high: The same.
        n: Cases.
        flipped: Share of the cases whose call is another than on the untouched image; NaN where nothing is called.
        reason: Why a value is missing.
    """

    corruption: str
    strength: int
    amount: float
    unit: str
    figure: str
    value: float
    low: float
    high: float
    n: int
    flipped: float
    reason: str = ""


def robustness(
    answer: Answer,
    batches: Batches,
    figure: Callable[[Array, NDArray[Any]], Estimate],
    name: str = "auroc",
    called: Callable[[Array], NDArray[Any]] | None = None,
    most: int = 256,
    seed: int = 0,
    corruptions: Sequence[str] | None = None,
) -> list[Row]:
    """A figure of a classifier at every strength of every corruption, and how many calls flip.

    Only the first ``most`` cases are looked at: hand them over in an order drawn by ``drawn_cases``.

    Args:
        answer: Images ``(B, C, *spatial)`` to probabilities ``(B, K)``.
        batches: Images and truth ``(B, ...)``.
        figure: Probabilities ``(n, K)`` and truth ``(n, ...)``, in the order of the cases, to a figure.
        name: Of the figure.
        called: Probabilities ``(n, K)`` to a call for each case at the stored threshold.
        most: Cases looked at.
        seed: Of the chance in corruptions.
        corruptions: Some of ``CORRUPTIONS``; all that fit the images where none are named.
    """
    kept = _first_cases(batches, most)
    if not kept:
        return []
    truth = torch.cat([part for _, part in kept]).cpu().numpy()
    clean = _answers(answer, kept)
    calls = None if called is None else np.asarray(called(clean))
    rows = [_row(UNTOUCHED, 0, name, figure(clean, truth), 0.0 if called else NAN)]
    for corruption in corruptions or fitting(kept[0][0].ndim - 2):
        for strength in STRENGTHS:
            found = _answers(answer, kept, corruption, strength, seed)
            flipped = NAN if called is None else float((np.asarray(called(found)) != calls).mean())
            rows.append(_row(corruption, strength, name, figure(found, truth), flipped))
    return rows


def segmentation_robustness(
    answer: Answer,
    batches: Batches,
    patients: Sequence[object] | None = None,
    most: int = 24,
    seed: int = 0,
    corruptions: Sequence[str] | None = None,
) -> list[Row]:
    """Mean Dice at every strength of the corruptions that leave everything in its place.

    Args:
        answer: Images to probabilities ``(B, K, *spatial)``.
        batches: Images and masks, int64 ``(B, *spatial)``, -1 for unknown.
        patients: Whose each case is, at least for those that are looked at.
        most: Cases looked at, the first ones.
        seed: Of the chance in corruptions and of the interval.
        corruptions: Some of ``CORRUPTIONS``; all that fit where none are named.

    Raises:
        ValueError: If a corruption moves the image away from its mask.
    """
    kept = _first_cases(batches, most)
    if not kept:
        return []
    names = corruptions or [n for n in fitting(kept[0][0].ndim - 2) if CORRUPTIONS[n].keeps_place]
    if moving := [n for n in names if not CORRUPTIONS[n].keeps_place]:
        raise ValueError(f"{', '.join(moving)} moves the image away from its mask; leave it out")
    looks = [(UNTOUCHED, 0), *((n, strength) for n in names for strength in STRENGTHS)]
    rows = []
    for name, strength in looks:
        dice = _dice(answer, kept, name, strength, seed)
        low, high = bootstrap_mean(dice, None if patients is None else patients[: len(dice)], seed=seed)
        present = dice[:, np.isfinite(dice).any(axis=0)]
        value = float(np.nanmean(present, axis=0).mean()) if present.size else NAN
        reason = "" if math.isfinite(value) else "no structure is in any mask or answer"
        rows.append(_row(name, strength, "dice", Estimate(value, low, high, n=len(dice), reason=reason), NAN))
    return rows


def worst_in_short(rows: Sequence[Row]) -> str:
    """``AUROC falls most at noise 5, from 0.996 to 0.680; 32 % of calls change at contrast 5``: for one line."""
    if not rows:
        return "there was no case"
    clean, told = rows[0], [row for row in rows[1:] if math.isfinite(row.value)]
    if not math.isfinite(clean.value) or not told:
        return f"not known: {clean.reason or 'no figure at any strength'}"
    name = {"auroc": "AUROC", "dice": "Dice"}.get(clean.figure, clean.figure)
    worst = min(told, key=lambda row: row.value)
    if round(worst.value, 3) >= round(clean.value, 3):
        said = f"{name} never falls below its {clean.value:.3f}"
    else:
        at = f"{worst.corruption.replace('_', ' ')} {worst.strength}"
        said = f"{name} falls most at {at}, from {clean.value:.3f} to {worst.value:.3f}"
    changed = max((row for row in rows if row.flipped > 0), key=lambda row: row.flipped, default=None)
    if changed is None:
        return said
    at = f"{changed.corruption.replace('_', ' ')} {changed.strength}"
    return f"{said}; {100 * changed.flipped:.0f} % of calls change at {at}"


def drawn_cases(labels: Sequence[object], most: int, seed: int = 0) -> NDArray[np.int64]:
    """Numbers of ``most`` cases, of each label as large a share as it has, in an order drawn by chance.

    A cohort is often sorted by label: its first cases would be of one kind.
    """
    rng = np.random.default_rng(seed)
    values = np.unique(np.asarray(labels, dtype=str), return_inverse=True)[1]
    places = np.empty(len(values))
    for value in np.unique(values):
        (mine,) = np.nonzero(values == value)
        places[rng.permutation(mine)] = (np.arange(len(mine)) + rng.random()) / len(mine)
    return np.argsort(places, kind="stable")[:most].astype(np.int64)


def _row(corruption: str, strength: int, name: str, found: Estimate, flipped: float) -> Row:
    kind = CORRUPTIONS.get(corruption)
    amount, unit = (0.0, "") if kind is None else (kind.amounts[strength - 1], kind.unit)
    return Row(corruption, strength, amount, unit, name, found.value, found.low, found.high, found.n, flipped,
               found.reason)  # fmt: skip


def _first_cases(batches: Batches, most: int) -> list[tuple[Tensor, Tensor]]:
    kept: list[tuple[Tensor, Tensor]] = []
    left = most
    for images, truth in batches:
        if left <= 0:
            break
        kept.append((images[:left], truth[:left]))
        left -= len(images)
    return [pair for pair in kept if len(pair[0])]


def _looked_at(
    answer: Answer, kept: Sequence[tuple[Tensor, Tensor]], name: str, strength: int, seed: int
) -> Iterable[Tensor]:
    first = 0
    for images, _ in kept:
        with torch.no_grad():
            yield answer(images if name == UNTOUCHED else corrupted(images, name, strength, seed, first))
        first += len(images)


def _answers(answer: Answer, kept: Sequence[tuple[Tensor, Tensor]], name: str = UNTOUCHED, strength: int = 0,
             seed: int = 0) -> Array:  # fmt: skip
    parts = [part.double().cpu() for part in _looked_at(answer, kept, name, strength, seed)]
    return torch.cat(parts).numpy()


def _dice(answer: Answer, kept: Sequence[tuple[Tensor, Tensor]], name: str, strength: int, seed: int) -> Array:
    """Dice of each case and class but the background ``(n, K - 1)``."""
    rows = []
    for found, (_, masks) in zip(_looked_at(answer, kept, name, strength, seed), kept, strict=True):
        pairs = zip(found.argmax(1), masks.to(found.device), strict=True)
        rows += [overlap(labels, mask, found.shape[1], 1.0)["dice"].numpy() for labels, mask in pairs]
    return np.stack(rows)
