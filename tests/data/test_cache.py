"""Prepared images: once, whole or absent, and nothing left out in silence."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medcnn.data import decode
from medcnn.data.cache import CachePlan, cache_key, prepare
from medcnn.data.images import ArrayImages, FilmFiles, Opened
from medcnn.errors import ConfigError, ReadError


class Halved:
    """Counts how often it runs."""

    calls = 0

    def __call__(self, case: dict[str, Any]) -> dict[str, Any]:
        Halved.calls += 1
        return {**case, "image": case["image"] / 2, "flags": [*case["flags"], "halved"]}


class Blank:
    def __call__(self, case: dict[str, Any]) -> dict[str, Any]:
        return {**case, "image": case["image"] * float("nan")}


class Spoiled(ArrayImages):
    """Every fourth image cannot be read."""

    def open(self, row: int) -> Opened:
        if row % 4 == 0:
            raise ReadError("truncated", "x")
        return super().open(row)


@pytest.fixture
def images() -> ArrayImages:
    return ArrayImages(np.random.default_rng(0).integers(0, 255, (12, 5, 7), dtype=np.uint8), title="x")


SPEC: list[dict[str, Any]] = [{"class_path": "Halved"}]


def test_images_are_preprocessed_in_order_and_flags_kept(images: ArrayImages) -> None:
    done = prepare(images, [Halved()], SPEC, CachePlan())
    assert torch.equal(done.images[:, 0], torch.from_numpy(images.array / 2).float())
    assert done.flags == [("halved",)] * 12
    assert done.rows == list(range(12))


def test_a_second_run_reads_the_file_and_preprocesses_nothing(images: ArrayImages, tmp_path: Path) -> None:
    first = prepare(images, [Halved()], SPEC, CachePlan(folder=tmp_path))
    Halved.calls = 0
    second = prepare(images, [Halved()], SPEC, CachePlan(folder=tmp_path, budget_mb=0))
    assert Halved.calls == 0
    assert torch.equal(first.images, second.images)
    assert (second.contents, second.flags, second.rows) == (first.contents, first.flags, first.rows)


def test_a_cohort_beyond_the_budget_is_memory_mapped_and_leaves_no_file(
    images: ArrayImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = prepare(images, [Halved()], None, CachePlan(budget_mb=0))
    assert torch.equal(done.images[:, 0], torch.from_numpy(images.array / 2).float())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_run_that_breaks_off_leaves_no_entry(images: ArrayImages, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"x 0: preprocessing gives NaN"):
        prepare(images, [Blank()], SPEC, CachePlan(folder=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_half_written_cache_is_never_used(images: ArrayImages, tmp_path: Path) -> None:
    done = prepare(images, [Halved()], SPEC, CachePlan(folder=tmp_path))
    (entry,) = tmp_path.iterdir()
    entry.rename(tmp_path / "unfinished-abc")
    Halved.calls = 0
    again = prepare(images, [Halved()], SPEC, CachePlan(folder=tmp_path))
    assert Halved.calls == 12
    assert torch.equal(done.images, again.images)


def test_another_pipeline_number_type_or_file_gives_another_key(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"1")
    files = FilmFiles(tmp_path, ["a.png"])
    keys = [cache_key(files, SPEC, "float32"), cache_key(files, [], "float32"), cache_key(files, SPEC, "uint8")]
    path.write_bytes(b"22")
    keys.append(cache_key(files, SPEC, "float32"))
    assert len(set(keys)) == 4
    assert cache_key(files, SPEC, "float32") == keys[3]


def test_shapes_that_differ_are_refused_with_the_remedy() -> None:
    class Mixed(ArrayImages):
        def open(self, row: int) -> Opened:
            opened = super().open(row)
            return Opened(opened.image[:, : 5 - row % 2], opened.content)

    with pytest.raises(ConfigError, match=r"x 1 is 1x4x7 after preprocessing but x 0 is 1x5x7: add an AreaResized"):
        prepare(Mixed(np.zeros((4, 5, 7), np.uint8), title="x"), [], [], CachePlan())


def test_unreadable_images_are_left_out_counted_and_refused_beyond_a_share(
    images: ArrayImages, caplog: pytest.LogCaptureFixture
) -> None:
    spoiled = Spoiled(images.array)
    with pytest.raises(ReadError, match=r"3 of 12 images are unreadable \(truncated 3\)"):
        prepare(spoiled, [], [], CachePlan())
    done = prepare(spoiled, [], [], CachePlan(allow_unreadable=0.25))
    assert done.excluded == {0: "truncated", 4: "truncated", 8: "truncated"}
    assert done.rows == [1, 2, 3, 5, 6, 7, 9, 10, 11]
    assert torch.equal(done.images[:, 0], torch.from_numpy(images.array[done.rows]).float())
    assert "3 of 12 images left out" in caplog.text


def test_a_smaller_number_type_is_kept_where_exact_and_refused_where_not(images: ArrayImages) -> None:
    assert prepare(images, [], [], CachePlan(store="uint8")).images.dtype == torch.uint8
    with pytest.raises(ConfigError, match="uint8 would change its values"):
        prepare(images, [Halved()], SPEC, CachePlan(store="uint8"))


def test_workers_give_what_one_process_gives(images: ArrayImages, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = [(done.row, done.content, done.image.sum()) for done in decode.ready_all(images, [], 0)]
    monkeypatch.setattr(decode, "_left", lambda *_: 1e9)
    together = [(done.row, done.content, done.image.sum()) for done in decode.ready_all(images, [], 2)]
    assert together == alone
