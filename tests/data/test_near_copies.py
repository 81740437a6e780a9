"""Near copies: what was shifted, brightened or re-encoded is found; other patients are not."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import rotate, shift

from medcnn.data.look import look_at_pixels, thumbnail
from medcnn.data.near_copies import LEAST_FILMS, find_near_copies
from medcnn.data.phantom import phantom_films


def encoded(film: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(film).save(stream, "jpeg", quality=50)
    return np.asarray(Image.open(stream))


CHANGES = {
    "shifted": lambda film: shift(film, (4, -2), order=1, mode="nearest"),
    "brightened": lambda film: np.clip(film * 0.8 + 30, 0, 255).astype(np.uint8),
    "re-encoded": encoded,
    "turned": lambda film: rotate(film, 2, reshape=False, order=1, mode="nearest"),
}


@pytest.fixture(scope="module")
def films() -> np.ndarray:
    table, drawn = phantom_films(150, 128, 3)
    return (drawn[table["film"].to_numpy() == 0] * 255).astype(np.uint8)


def test_every_changed_copy_is_found_and_no_stranger(films: np.ndarray) -> None:
    # Phantoms are drawn alike, so a turned one cannot be told from another; real films can, as the last test shows.
    kinds = [change for name, change in CHANGES.items() if name != "turned"]
    changed = [change(films[10 * k]) for k, change in enumerate(kinds, 1)]
    looks = [look_at_pixels(film) for film in [*films, *changed]]
    names = list(range(len(looks)))
    near = find_near_copies(np.stack([look.thumbnail for look in looks]), names, [look.content for look in looks])
    found = {tuple(pair) for pair in near.pairs[: near.found].tolist()}
    assert {(10, 150), (20, 151), (30, 152)} <= found
    assert len(found) <= 4  # one false pair is allowed for
    assert near.compared == 153 * 152 // 2


def test_exact_copies_are_not_near_copies(films: np.ndarray) -> None:
    looks = [look_at_pixels(film) for film in [*films[:60], films[5]]]
    near = find_near_copies(np.stack([look.thumbnail for look in looks]), range(61), [look.content for look in looks])
    assert (5, 60) not in {tuple(pair) for pair in near.pairs.tolist()}


def test_a_smaller_allowance_of_false_pairs_raises_the_threshold(films: np.ndarray) -> None:
    looks = [look_at_pixels(film) for film in films]
    thumbnails, contents = np.stack([look.thumbnail for look in looks]), [look.content for look in looks]
    strict, loose = (find_near_copies(thumbnails, range(150), contents, alpha) for alpha in (0.01, 1.0))
    assert strict.threshold > loose.threshold


def test_a_cohort_too_small_to_measure_on_gets_no_threshold(films: np.ndarray) -> None:
    looks = [look_at_pixels(film) for film in films[:5]]
    near = find_near_copies(np.stack([look.thumbnail for look in looks]), range(5), [look.content for look in looks])
    assert near.threshold is None
    assert near.found == 0
    assert len(looks) < LEAST_FILMS
    empty = find_near_copies(np.empty((0, 64, 64), np.float32), [], [])
    assert (empty.found, empty.compared) == (0, 0)


@pytest.mark.parametrize("size", [28, 64, 100, 224])
def test_a_thumbnail_of_an_even_image_is_even_and_keeps_the_mean(size: int) -> None:
    assert np.allclose(thumbnail(np.full((size, size + 3), 7.0)), 7.0)
    assert thumbnail(np.zeros((size, size))).shape == (64, 64)


@pytest.mark.data
def test_on_real_films_changed_copies_are_found(shared_data: Path) -> None:
    paths = sorted((shared_data / "chest_xray" / "NORMAL").glob("*-0001.jpeg"))[:400]
    films = [np.asarray(Image.open(path).convert("L")) for path in paths]
    changed = {"shifted": lambda film: shift(film, (4, -4), order=1, mode="nearest")}
    changed |= {name: CHANGES[name] for name in ("brightened", "re-encoded", "turned")}
    planted = {(10 * k + j, 400 + 4 * k + j) for k in range(20) for j in range(4)}
    copies = [list(changed.values())[j](films[10 * k + j]) for k in range(20) for j in range(4)]
    looks = [look_at_pixels(film) for film in [*films, *copies]]
    thumbnails = np.stack([look.thumbnail for look in looks])
    near = find_near_copies(thumbnails, range(480), [look.content for look in looks])
    found = {tuple(pair) for pair in near.pairs[: near.found].tolist()}
    assert len(found & planted) >= 78
    assert len(found - planted) <= 3
