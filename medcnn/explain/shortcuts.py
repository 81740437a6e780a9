"""Does the score follow something that is not disease? A corner marker, the border, or a column such as the scanner."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logit
from torch import Tensor

from medcnn.explain.influence import Figure, auroc_of, mean_of, spread_of
from medcnn.explain.looks import Scale, Shortcut, judged, look
from medcnn.explain.probes import LETTERS, corners, hidden, in_border, in_corner, marked
from medcnn.explain.shortcut_columns import column_looks
from medcnn.metrics.by_patient import Owners, owners
from medcnn.metrics.estimate import NAN

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Answer = Callable[[Tensor], Tensor]

# A look is flagged where its effect lies beyond these, tested at the level corrected for all looks (Holm). Nets that
# learned chest films without a marker stay at about half of each (benchmarks/shortcuts.py).
MARKER_MARGIN = 0.4  # shift by a marker, in standard deviations of the untouched scores
HIDING_MARGIN = 0.25  # separation of the classes that goes with a hidden corner, in the same unit
BORDER_MARGIN = 0.75  # of the discrimination (AUC above 0.5) that the border keeps when it is all that is seen
MARKER = Scale(
    "shift of the score by the marker, in standard deviations", MARKER_MARGIN, f"{MARKER_MARGIN:g} standard deviations"
)
HIDING = Scale(
    "separation of the classes that goes with the corner, in standard deviations of the score",
    HIDING_MARGIN, f"{HIDING_MARGIN:g} standard deviations",
)  # fmt: skip
BORDER_ALONE = Scale(
    "share of the discrimination (AUC above 0.5) that the border alone keeps", BORDER_MARGIN, f"{BORDER_MARGIN:.0%}"
)
SLIGHT = 0.05  # standard deviations, below which a distance is said not to change
WEAK = 0.6  # AUC below which there is no discrimination to lose


def find_shortcuts(
    answer: Answer,
    images: Tensor,
    positive: Mask,
    index: int = 1,
    threshold: float = 0.5,
    columns: Mapping[str, Sequence[object]] | None = None,
    patients: Sequence[object] | None = None,
    features: Array | None = None,
    batch: int = 64,
    alpha: float = 0.05,
) -> list[Shortcut]:
    """Every look at one model, corrected for their number together.

    A bright L and a bright R are put into each corner; each corner is hidden; the border alone is shown; and among
    cases of equal truth the score is compared between the values of each column. The first asks what the model would
    fall for, the others what it leans on in these cases.

    Args:
        answer: Prepared images ``(B, C, *spatial)`` to probabilities ``(B, K)``.
        images: ``(n, C, *spatial)``, finite; a few hundred are enough.
        positive: Whether the case has the finding ``(n,)``.
        index: Column of the finding among the probabilities.
        threshold: At which a case is called.
        columns: Name to a value for each case; values of fewer than ten cases, or that all have, are left out.
        patients: Whose each case is; None: every case is its own patient.
        features: Embeddings ``(n, D)``, from which the columns are predicted; told, never flagged by itself.
        batch: Images a pass.
        alpha: Chance of any false flag among all looks.

    Raises:
        ValueError: If there is not one truth, patient and value for each image.
    """
    positive, of = np.asarray(positive, bool), owners(patients, len(images))
    if positive.shape != (len(images),):
        raise ValueError(f"{len(images)} images and truth {positive.shape}: give one truth for each image")
    if not len(images):
        return []

    def scored(changed: Tensor) -> Array:
        with torch.no_grad():
            parts = [answer(part)[:, index].double().cpu() for part in changed.split(batch)]
        return _logits(torch.cat(parts).numpy())

    cases = Cases(images, positive, scored(images), of, float(_logits(np.array([threshold]))[0]))
    looks = [*_marker_looks(scored, cases), *_hiding_looks(scored, cases), _border_look(scored, cases)]
    looks += column_looks(cases.scores, positive, columns or {}, of, features)
    return judged(looks, alpha)


@dataclass(frozen=True)
class Cases:
    """What every look at the pictures needs: untouched scores and the threshold are logits."""

    images: Tensor
    positive: Mask
    scores: Array
    of: Owners
    threshold: float


def _marker_looks(scored: Callable[[Tensor], Array], cases: Cases) -> list[Shortcut]:
    """What a bright L and R in each corner does to the scores, in standard deviations of the untouched scores."""
    spread, looks = spread_of(cases.scores), []
    called = cases.scores >= cases.threshold
    for (name, corner), letter in itertools.product(corners(cases.images.ndim - 2).items(), LETTERS):
        after = scored(marked(cases.images, corner, letter))
        shift = mean_of(after - cases.scores)
        flipped = float(((after >= cases.threshold) != called).mean())
        way = "more" if shift.value > 0 else "less"
        sentence = (
            f"A bright {letter} put into the {name} makes a case look {way} like the finding by "
            f"{_words(abs(shift.value), spread.value)} and changes {flipped:.0%} of the calls."
        )
        looks.append(look(f"marker {letter}: {name}", shift / spread, MARKER, cases.of, sentence))
    return looks


def _hiding_looks(scored: Callable[[Tensor], Array], cases: Cases) -> list[Shortcut]:
    """How much nearer the classes come to each other when a corner is hidden."""
    mean, whole = cases.images.mean(dim=0), auroc_of(cases.scores, cases.positive)
    spread, looks = spread_of(cases.scores), []
    for name, corner in corners(cases.images.ndim - 2).items():
        after = scored(hidden(cases.images, in_corner(cases.images.shape[2:], corner), mean))
        lost = cases.scores - after
        gap = mean_of(lost, cases.positive) - mean_of(lost, ~cases.positive)
        sentence = (
            f"With the {name} hidden, cases with and without the finding {_nearer(gap.value, spread.value)}; the AUC "
            f"of these {len(after):,} cases goes from {whole.value:.3f} to {auroc_of(after, cases.positive).value:.3f}."
        )
        looks.append(look(f"hidden: {name}", gap / spread, HIDING, cases.of, sentence))
    return looks


def _border_look(scored: Callable[[Tensor], Array], cases: Cases) -> Shortcut:
    """How much of the discrimination is left when nothing but the border is seen."""
    mean, border = cases.images.mean(dim=0), in_border(cases.images.shape[2:])
    whole = auroc_of(cases.scores, cases.positive)
    alone = auroc_of(scored(hidden(cases.images, ~border, mean)), cases.positive)
    without = auroc_of(scored(hidden(cases.images, border, mean)), cases.positive)
    if not whole.value >= WEAK:
        figure = Figure(NAN, np.full(len(cases.scores), NAN))
        sentence = f"The AUC is {whole.value:.3f}: there is no discrimination that the border could carry."
        return look("border", figure, BORDER_ALONE, cases.of, sentence)
    kept = (alone - 0.5) / (whole - 0.5)
    sentence = (
        f"From the outer {border.double().mean():.0%} of the picture alone the AUC of these {len(cases.scores):,} "
        f"cases is {alone.value:.3f}, with it hidden {without.value:.3f}, from the whole picture {whole.value:.3f}: "
        f"the border alone keeps {kept.value:.0%} of the discrimination."
    )
    return look("border", kept, BORDER_ALONE, cases.of, sentence)


def _nearer(gap: float, spread: float) -> str:
    if abs(gap) < SLIGHT * spread:
        return "hardly change their distance"
    return f"{'come nearer to' if gap > 0 else 'move away from'} each other by {_words(abs(gap), spread)}"


def _words(shift: float, spread: float) -> str:
    if not spread:
        return f"{shift:.2f} logits (all scores are alike)"
    return f"{shift / spread:.2f} standard deviations of the scores ({shift:.2f} logits)"


def _logits(probabilities: Array) -> Array:
    # A probability of exactly 0 or 1 is one that single precision could not tell from it.
    return np.asarray(logit(np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)))
