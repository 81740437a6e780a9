"""A drawn chest: lungs, heart, spine, ribs and diaphragm as smooth shapes; the finding is a soft shadow in a lung."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter


@dataclass(frozen=True)
class Anatomy:
    """What stays the same in all films of one phantom; lengths are shares of the image, places (row, column).

    Attributes:
        lungs: For each lung, its center, its half axes and its tilt.
        heart: Center and half axes.
        rib_spacing: Distance of the ribs.
        rib_curve: How far they hang down to the sides.
        diaphragm: Height of its dome.
        shadow: Center, half axes and strength of the finding; None without one.
    """

    lungs: tuple[tuple[float, float, float, float, float], ...]
    heart: tuple[float, float, float, float]
    rib_spacing: float
    rib_curve: float
    diaphragm: float
    shadow: tuple[float, ...] | None


def draw_anatomy(chance: np.random.Generator, finding: bool) -> Anatomy:
    """One phantom, with the finding or without."""
    lungs = tuple(
        (
            0.46 + chance.normal(0, 0.012),
            0.5 + side * (0.19 + chance.normal(0, 0.012)),
            0.30 * chance.uniform(0.92, 1.08),
            0.135 * chance.uniform(0.9, 1.1),
            side * chance.uniform(0.05, 0.15),
        )
        for side in (-1, 1)
    )
    heart = (0.60 + chance.normal(0, 0.015), 0.56 + chance.normal(0, 0.015), 0.13, 0.13 * chance.uniform(0.85, 1.15))
    return Anatomy(
        lungs,
        heart,
        rib_spacing=chance.uniform(0.075, 0.095),
        rib_curve=chance.uniform(0.2, 0.5),
        diaphragm=0.74 + chance.normal(0, 0.015),
        shadow=_draw_shadow(chance, lungs) if finding else None,
    )


def draw_film(anatomy: Anatomy, chance: np.random.Generator, size: int) -> np.ndarray:
    """One film of a phantom: float32 ``(size, size)`` in [0, 1], dense tissue bright; position and exposure vary."""
    step = (np.arange(size) + 0.5) / size
    row, column = np.meshgrid(step, step, indexing="ij")
    row, column = row + chance.normal(0, 0.012), column + chance.normal(0, 0.012)
    lungs = np.maximum(*(_ellipse(row, column, *lung) for lung in anatomy.lungs))
    below = _edge(row - anatomy.diaphragm + 0.5 * (np.abs(column - 0.5) - 0.19) ** 2)
    body = _ellipse(row, column, 0.56, 0.5, 0.60, 0.46, 0.0)
    lungs = lungs * (1 - below)
    film = 0.05 + 0.55 * body - 0.36 * lungs
    spine = 0.16 * _edge(0.045 - np.abs(column - 0.5)) * body
    film += np.maximum(spine, 0.24 * _ellipse(row, column, *anatomy.heart, 0.3) * (1 - 0.5 * below))
    film += _ribs(row, column, anatomy) * body + _vessels(chance, row, column) * lungs
    if anatomy.shadow is not None:
        film += _shadow(row, column, anatomy.shadow) * lungs
    film = gaussian_filter(film, size / 256) + _noise(chance, size)
    exposed = chance.uniform(0.85, 1.1) * np.maximum(film, 0) ** chance.uniform(0.85, 1.2)
    return np.minimum(exposed, 1).astype(np.float32)


def _draw_shadow(chance: np.random.Generator, lungs: tuple[tuple[float, ...], ...]) -> tuple[float, ...]:
    row, column, high, wide, _ = lungs[chance.integers(2)]
    angle, reach = chance.uniform(0, 2 * math.pi), 0.55 * math.sqrt(chance.uniform())
    place = (row + reach * high * math.sin(angle), column + reach * wide * math.cos(angle))
    return (*place, chance.uniform(0.06, 0.11), chance.uniform(0.05, 0.09), chance.uniform(0.12, 0.32))


def _edge(inside: np.ndarray, softness: float = 0.012) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(inside / softness, -40, 40)))


def _ellipse(
    row: np.ndarray, column: np.ndarray, at_row: float, at_column: float, high: float, wide: float, tilt: float
) -> np.ndarray:
    down, across = row - at_row, column - at_column
    across = across - tilt * down
    return _edge(1 - np.sqrt((down / high) ** 2 + (across / wide) ** 2), 0.06)


def _ribs(row: np.ndarray, column: np.ndarray, anatomy: Anatomy) -> np.ndarray:
    arch = row - anatomy.rib_curve * (np.abs(column - 0.5) - 0.1) ** 2
    return 0.05 * np.maximum(np.sin(2 * math.pi * arch / anatomy.rib_spacing), 0) * (row < anatomy.diaphragm + 0.1)


def _vessels(chance: np.random.Generator, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Short bright strands near the hila: something else in a lung than the finding."""
    film = np.zeros_like(row)
    for side in (-1, 1):
        for _ in range(5):
            at_row, at_column = chance.normal(0.45, 0.09), 0.5 + side * chance.uniform(0.1, 0.22)
            film += _shadow(row, column, (at_row, at_column, 0.012, 0.018, chance.uniform(0.03, 0.09)))
    return film


def _shadow(row: np.ndarray, column: np.ndarray, shadow: tuple[float, ...]) -> np.ndarray:
    at_row, at_column, high, wide, strength = shadow
    return strength * np.exp(-0.5 * (((row - at_row) / high) ** 2 + ((column - at_column) / wide) ** 2))


def _noise(chance: np.random.Generator, size: int) -> np.ndarray:
    coarse = gaussian_filter(chance.normal(size=(size, size)), size / 16)
    return 0.015 * coarse / max(float(coarse.std()), 1e-9) + chance.normal(0, 0.02, (size, size))
