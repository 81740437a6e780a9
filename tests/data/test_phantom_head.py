"""Phantom heads are where they say, and their cohort reads as a cohort."""

from pathlib import Path

import numpy as np
import pytest

from medcnn.data.phantom_head import draw_head, make_phantom_heads, oblique_affine
from medcnn.io.read import read_volume


def test_ventricles_lie_in_the_brain_and_grow_with_their_factor() -> None:
    small, large = (draw_head(oblique_affine((4.0, 4.0, 4.0)), ventricle=size) for size in (0.8, 1.4))
    for one in (small, large):
        assert one.ventricles.any()
        assert not (one.ventricles & ~one.brain).any()
    ellipsoids = 2 * 4 / 3 * np.pi * 6 * 25 * 8 * 1.4**3
    assert large.ventricles.sum() * 64 == pytest.approx(ellipsoids, rel=0.1)


def test_without_a_brain_there_are_no_ventricles() -> None:
    assert not draw_head(oblique_affine((6.0, 6.0, 6.0)), brain=False).ventricles.any()


def test_the_same_seed_writes_the_same_heads_and_the_series_reads_where_it_was_drawn(tmp_path: Path) -> None:
    for name in ("one", "other"):
        make_phantom_heads(tmp_path / name, heads=2, spacing_mm=6.0, seed=3)
    images = [read_volume(tmp_path / name / "cohort" / "images" / "head_01.nii.gz") for name in ("one", "other")]
    assert np.array_equal(images[0].voxels, images[1].voxels)
    assert not np.array_equal(images[0].voxels, read_volume(tmp_path / "one/cohort/images/head_00.nii.gz").voxels)
    series = read_volume(tmp_path / "one" / "incoming")
    assert series.modality == "MR"
    # Fat of the scalp is brightest: its middle is the middle of the head, in whatever order the slices were kept.
    bright = np.argwhere(series.voxels > 1100)
    middle = series.affine @ np.append((bright.min(axis=0) + bright.max(axis=0)) / 2, 1)
    assert np.abs(middle[:2]).max() < 12
