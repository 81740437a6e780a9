"""Prepared cases of many shapes: the same from memory and from files, and nothing left behind."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labeled_cohort import CLASSES, OBLIQUE, drawn, write_cohort

from medcnn.data import ripe
from medcnn.data.cache import CachePlan
from medcnn.data.labeled import LabeledVolumes
from medcnn.data.pairs import find_pairs
from medcnn.data.ragged import prepare_cases
from medcnn.data.ripe import Ripe
from medcnn.errors import ConfigError
from medcnn.io.nifti import write_nifti
from medcnn.transforms.intensity import ZScored


class Counted(ZScored):
    """Counts how often it runs."""

    calls = 0

    def __call__(self, case: Any) -> Any:
        Counted.calls += 1
        return {**super().__call__(case), "flags": ["counted"]}


@pytest.fixture
def volumes(tmp_path: Path) -> LabeledVolumes:
    return LabeledVolumes(find_pairs(write_cohort(tmp_path / "cohort", 5)), CLASSES)


def same(one: Ripe, other: Ripe) -> bool:
    for name, value in vars(one).items():
        if name == "places":
            equal = all(np.array_equal(a, b) for a, b in zip(value, other.places, strict=True))
        else:
            equal = np.array_equal(value, getattr(other, name))
        if not equal:
            return False
    return True


def test_memory_files_and_maps_give_the_same_cases(volumes: LabeledVolumes, tmp_path: Path) -> None:
    steps, spec = [Counted("image")], [{"class_path": "x"}]
    held = prepare_cases(volumes, steps, spec, CachePlan(workers=0)).cases
    plans = [CachePlan(workers=0, folder=tmp_path / "cache", budget_mb=budget) for budget in (100, 100, 1e-6)]
    Counted.calls = 0
    for plan in plans:
        found = prepare_cases(volumes, steps, spec, plan).cases
        assert len(found) == 5
        assert all(same(one, other) for one, other in zip(held, found, strict=True))
    assert Counted.calls == 5  # once for the first plan; the others found what it had left
    assert isinstance(found[0].image.base, np.memmap)
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.name.startswith("unfinished")] == []


def test_a_cohort_too_large_for_memory_leaves_nothing_behind(
    volumes: LabeledVolumes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    held = prepare_cases(volumes, [ZScored("image")], None, CachePlan(workers=0)).cases
    mapped = prepare_cases(volumes, [ZScored("image")], None, CachePlan(workers=0, budget_mb=0.02)).cases
    assert all(same(one, other) for one, other in zip(held, mapped, strict=True))
    assert list((tmp_path / "cache" / "medcnn").iterdir()) == []


def test_a_changed_label_is_read_again(volumes: LabeledVolumes, tmp_path: Path) -> None:
    plan = CachePlan(workers=0, folder=tmp_path / "cache")
    before = prepare_cases(volumes, [], [], plan).cases[0]
    label = drawn(0)[1]
    label[0, 0, 0] = 2
    write_nifti(volumes.images.root / "labels" / "p00_0.nii.gz", label, OBLIQUE)
    after = prepare_cases(volumes, [], [], plan).cases[0]
    assert (after.voxels - before.voxels).tolist() == [-1, 0, 1]
    assert before.content == after.content
    assert before.label_content != after.label_content


def test_the_places_of_a_structure_are_where_it_is(volumes: LabeledVolumes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ripe, "MOST_PLACES", 30)
    for case in prepare_cases(volumes, [], None, CachePlan(workers=0)).cases:
        assert [len(places) for places in case.places] == [30, 8]
        for value, places in enumerate(case.places, 1):
            assert (case.mask.reshape(-1)[places] == value).all()
            assert len(set(places.tolist())) == len(places)


def test_half_precision_keeps_three_digits_and_refuses_what_it_cannot_hold(volumes: LabeledVolumes) -> None:
    whole = prepare_cases(volumes, [ZScored("image")], None, CachePlan(workers=0)).cases
    half = prepare_cases(volumes, [ZScored("image")], None, CachePlan("float16", workers=0)).cases
    for one, other in zip(whole, half, strict=True):
        assert other.image.dtype == np.float16
        assert np.allclose(one.image, other.image, rtol=1e-3, atol=1e-3)
    write_nifti(volumes.images.root / "images" / "p00_1.nii.gz", drawn(1)[0].astype(np.int32) * 1000, OBLIQUE)
    with pytest.raises(ConfigError, match=r"p00_1\.nii\.gz: values beyond 65504 do not fit store: float16"):
        prepare_cases(volumes, [], None, CachePlan("float16", workers=0))


def test_several_sequences_become_channels_on_the_grid_of_the_first(tmp_path: Path) -> None:
    folder = write_cohort(tmp_path / "cohort", 2)
    for path in sorted((folder / "images").iterdir()):
        image = drawn(int(path.name[4]))[0]
        path.rename(path.with_name(path.name.replace(".nii", "_0000.nii")))
        write_nifti(folder / "images" / path.name.replace(".nii", "_0001.nii"), 2 * image, OBLIQUE)
    cases = prepare_cases(LabeledVolumes(find_pairs(folder), CLASSES), [], None, CachePlan(workers=0)).cases
    for number, case in enumerate(cases):
        image = drawn(number)[0]
        assert np.allclose(case.image, np.stack([image, 2 * image]), atol=1e-3)
