"""Films that look like copies of each other: shifted, brightened, re-encoded, slightly turned, or written upon.

Every film is compared with every other by its coarse features; the nearest neighbors of each are then laid over each
other in their details, at the best shift. How alike two different patients can look is measured on the same neighbors,
so the false alarms that a threshold lets through can be stated.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

NEIGHBORS = 8
FEATURES = 64
SHIFT = 6  # cells of the 64 x 64 thumbnail, on each side: 9 % of the image
LEAST_FILMS = 100
_BLOCK = 512


@dataclass(frozen=True)
class NearCopies:
    """Pairs of films by how well their details agree.

    Attributes:
        pairs: Row numbers ``(n, 2)`` of the nearest neighbors that are no exact copies, the most alike first.
        scores: Agreement of each pair, 1 for equal details.
        threshold: Above it a pair counts as near copies; None where the cohort is too small to tell, 1 where different
            patients look so alike that no pair can be told to be a copy.
        false_pairs: How many pairs of different patients are expected above it in the whole cohort, at most.
        compared: How many pairs of films were compared.
        measured: How many neighbors of different patients the threshold was measured on.
    """

    pairs: np.ndarray
    scores: np.ndarray
    threshold: float | None
    false_pairs: float
    compared: int
    measured: int

    @property
    def found(self) -> int:
        """How many pairs count as near copies; they come first."""
        return 0 if self.threshold is None else int((self.scores > self.threshold).sum())


def find_near_copies(
    thumbnails: np.ndarray, patients: Sequence[Hashable], contents: Sequence[str], false_pairs: float = 1.0
) -> NearCopies:
    """Pairs of films whose details agree more than those of different patients do.

    Args:
        thumbnails: ``(N, 64, 64)``.
        patients: Pseudonym of each film's patient; films of one patient do not count for the false alarms.
        contents: Digest of each film's pixels; exact copies are left out.
        false_pairs: Expected number of pairs of different patients above the threshold, in the whole cohort.
    """
    count = len(thumbnails)
    if count < 2:
        return NearCopies(np.empty((0, 2), dtype=int), np.empty(0), None, false_pairs, 0, 0)
    pairs = _neighbors(_features(thumbnails))
    content = np.unique(np.asarray(contents), return_inverse=True)[1]
    pairs = pairs[content[pairs[:, 0]] != content[pairs[:, 1]]]
    scores = _agreement(_details(thumbnails), pairs)
    order = np.argsort(-scores, kind="stable")
    pairs, scores = pairs[order], scores[order]
    whose = np.unique(np.asarray([str(patient) for patient in patients]), return_inverse=True)[1]
    strangers = whose[pairs[:, 0]] != whose[pairs[:, 1]]
    null = _without_suspects(pairs[strangers], scores[strangers], count)
    threshold = _threshold(null, false_pairs) if count >= LEAST_FILMS and len(null) else None
    return NearCopies(pairs, scores, threshold, false_pairs, count * (count - 1) // 2, len(null))


def _features(thumbnails: np.ndarray) -> np.ndarray:
    """Coarse features ``(N, K)`` of length 1: principal components of the half-size thumbnails, scaled to equal spread.

    Equal spread keeps what all films have in common, a chest, from hiding what tells them apart.
    """
    coarse = thumbnails.reshape(len(thumbnails), 32, 2, 32, 2).mean(axis=(2, 4)).reshape(len(thumbnails), -1)
    coarse = _unit(coarse - coarse.mean(axis=1, keepdims=True))
    coarse = coarse - coarse.mean(axis=0)
    spread, axes = np.linalg.eigh(coarse.T @ coarse / len(coarse))
    kept = min(FEATURES, max(1, len(coarse) // 4))
    spread, axes = spread[::-1][:kept], axes[:, ::-1][:, :kept]
    return _unit(coarse @ (axes / np.sqrt(spread + 1e-6 * spread[0] + 1e-12))).astype(np.float32)


def _neighbors(features: np.ndarray) -> np.ndarray:
    """Pairs of rows, each once, of which one is among the nearest of the other; in blocks, so memory stays small."""
    count, near = len(features), min(NEIGHBORS, len(features) - 1)
    found = []
    for start in range(0, count, _BLOCK):
        alike = features[start : start + _BLOCK] @ features.T
        rows = np.arange(start, start + len(alike))
        alike[np.arange(len(alike)), rows] = -np.inf
        nearest = np.argpartition(-alike, near - 1, axis=1)[:, :near]
        found.append(np.column_stack([np.repeat(rows, near), nearest.ravel()]))
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def _details(thumbnails: np.ndarray) -> np.ndarray:
    """Edges and texture at equal contrast everywhere, faded to the border: brightness and contrast leave no trace."""
    fine = thumbnails - gaussian_filter(thumbnails, (0, 3, 3))
    # What is flat stays flat: rounding of an even background is no detail.
    least = 1e-3 * thumbnails.std(axis=(1, 2), keepdims=True) + 1e-6
    fine = fine / (np.sqrt(gaussian_filter(fine * fine, (0, 6, 6))) + least)
    fade = np.hanning(thumbnails.shape[1])
    fine = fine * np.outer(fade, fade)
    fine = fine - fine.mean(axis=(1, 2), keepdims=True)
    return _unit(fine.reshape(len(fine), -1)).reshape(fine.shape).astype(np.float32)


def _agreement(details: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Correlation of two films' details at the best shift, for each pair."""
    scores = [np.empty(0, dtype=np.float32)]
    spectra = np.fft.rfft2(details).astype(np.complex64)
    for start in range(0, len(pairs), _BLOCK):
        one, other = pairs[start : start + _BLOCK].T
        shifts = np.fft.irfft2(spectra[one] * np.conj(spectra[other]), s=details.shape[1:])
        shifts = np.roll(shifts, (SHIFT, SHIFT), axis=(1, 2))[:, : 2 * SHIFT + 1, : 2 * SHIFT + 1]
        scores.append(shifts.max(axis=(1, 2)).astype(np.float32))
    return np.concatenate(scores)


def _without_suspects(pairs: np.ndarray, scores: np.ndarray, count: int) -> np.ndarray:
    """Scores of the pairs that do not stand out from all other pairs of both their films.

    A real copy under another patient's name stands far above every other neighbor of the film; it must not raise the
    threshold that is to find it. What is left out lies at the very top, above the part that the threshold is fitted to.
    """
    best, second = np.full(count, -1.0), np.full(count, -1.0)
    film, score = np.concatenate([pairs[:, 0], pairs[:, 1]]), np.concatenate([scores, scores])
    order = np.lexsort((-score, film))
    film, score = film[order], score[order]
    place = np.arange(len(film)) - np.searchsorted(film, film)
    best[film[place == 0]], second[film[place == 1]] = score[place == 0], score[place == 1]
    gaps = (best - second)[second >= 0]
    limit = 4 * np.median(gaps) if len(gaps) else np.inf
    ahead = scores - np.maximum(second[pairs[:, 0]], second[pairs[:, 1]])
    return scores[ahead <= limit]


def _threshold(strangers: np.ndarray, false_pairs: float) -> float | None:
    """Score that ``false_pairs`` of these pairs would exceed, were all of them what they seem.

    The tail between the highest 10 % and 0.5 % is continued as an exponential: heavier than tails of this kind are, so
    the count is a bound.
    """
    falling = np.sort(strangers.astype(np.float64))[::-1]
    shares = np.geomspace(0.005, 0.1, 20)
    scores = falling[(shares * len(falling)).astype(int)]
    if scores[0] <= scores[-1]:
        return None
    slope, offset = np.polyfit(scores, np.log(shares), 1)
    return float(min((np.log(false_pairs / len(falling)) - offset) / slope, 1.0))


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
