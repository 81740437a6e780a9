"""A model whose description was changed anywhere is refused as such, or it is the same model."""

import contextlib
import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from point_cohort import PointCohort, made_task, quiet_trainer

from medcnn.errors import CheckpointError
from medcnn.scoring.preparation import scored_shape
from medcnn.tasks.archive import read_checkpoint
from medcnn.tasks.checkpoint import Product, open_product
from medcnn.tasks.schema import check_product

RESIZE = {"class_path": "monai.transforms.Resized", "init_args": {"keys": "image", "spatial_size": [4, 4]}}
HUGE = "a number of 5,000 digits"  # which hypothesis cannot print
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats() | st.text(max_size=5) | st.just(HUGE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of one epoch."""
    folder = tmp_path_factory.mktemp("fitted")
    run = quiet_trainer(folder, max_epochs=1)
    run.fit(made_task(), datamodule=PointCohort(preprocess=[RESIZE]))
    run.save_checkpoint(folder / "good.ckpt")
    return folder / "good.ckpt"


@pytest.fixture(scope="module")
def recipe(fitted: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("product")
    open_product(fitted).to_folder(folder)
    return json.loads((folder / "product.json").read_text()) | {"folder": folder}


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every part of nested data."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, part in parts:
        yield (*above, key)
        yield from places(part, (*above, key))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    if isinstance(value, tuple):
        return tuple(replaced(list(value), path, new))
    copied = copy.copy(value)
    copied[path[0]] = replaced(value[path[0]] if path[1:] else None, path[1:], new)
    return copied


def used(product: Product) -> None:
    """What a scorer does with a product before the first image."""
    scored_shape(product)
    task = product.build_task()
    product.build_preprocess()
    assert product.digest
    with torch.inference_mode():
        task.columns({"probabilities": task.answer(torch.zeros(2, 1, 4, 4))})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_part_of_a_recipe_may_be_anything(data: st.DataObject, recipe: dict[str, Any], tmp_path: Path) -> None:
    parts = {key: value for key, value in recipe.items() if key != "folder"}
    place = data.draw(st.sampled_from(list(places(parts))))
    shutil.copytree(recipe["folder"], tmp_path / "model", dirs_exist_ok=True)
    text = json.dumps(replaced(parts, place, data.draw(ANYTHING))).replace(f'"{HUGE}"', "1" + "0" * 5000)
    (tmp_path / "model" / "product.json").write_text(text)
    with contextlib.suppress(CheckpointError):
        used(open_product(tmp_path / "model"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_part_of_a_checkpoint_may_be_anything(data: st.DataObject, fitted: Path, tmp_path: Path) -> None:
    found = dict(read_checkpoint(fitted))
    kept = ("hyper_parameters", "medcnn", "decision", "datamodule_hyper_parameters", "state_dict")
    found = {key: dict(found[key]) if isinstance(found[key], dict) else found[key] for key in kept}
    place = data.draw(st.sampled_from(list(places(found))))
    torch.save(replaced(found, place, data.draw(ANYTHING)), tmp_path / "changed.ckpt")
    with contextlib.suppress(CheckpointError):
        used(open_product(tmp_path / "changed.ckpt"))


BAD = [
    ("task", None), ("task", "x"), ("task", {"class_path": 5}), ("task.init_args", []),
    ("task.init_args.classes", ["b", "a"]), ("task.init_args.multilabel", True),
    ("classes", 5), ("classes", "ab"), ("classes", ["a", "a"]),
    ("classes", ["a", ""]), ("classes", ["a", "b\x1b[2J"]), ("classes", ["a", "b\nc"]),
    ("classes", ["a", "\u202eb"]), ("classes", ["a"]),
    ("classes", ["a", 7]), ("classes", ["a", "b" * 201]), ("preprocess", ["ab"]), ("preprocess", {"a": 1}),
    ("preprocess", [{"class_path": "monai.transforms.Resized", "init_args": {"scale": float("nan")}}]),
    ("multilabel", "no"),
    ("multilabel", 1), ("provenance", None), ("provenance.image_shape", "abc"), ("provenance.image_shape", [[1]]),
    ("provenance.image_shape", [1, 0, 4]), ("provenance.image_shape", [1, 4.0, 4]),
    ("provenance.image_shape", [1, 10**9, 4]),
    ("provenance.image_shape", [True, 4, 4]), ("provenance.run_id", 7), ("provenance.run_id", "a\nb"),
    ("provenance.trained_on", "c1"), ("provenance.trained_on", [1]), ("provenance.per_voxel", "no"),
    ("provenance.spacing_mm", [1.0, float("nan")]), ("provenance.spacing_mm", [1.0, 0.0]),
    ("provenance.spacing_mm", [1, 2, 3, 4]),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value"), BAD, ids=lambda part: str(part)[:40])
def test_a_wrong_part_is_named_with_its_value(place: str, value: Any, recipe: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError) as caught:
        check_product(replaced(recipe, tuple(place.split(".")), value), "model.ckpt")
    assert str(caught.value).startswith("model.ckpt: ")
    assert place.split(".")[0] in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("thresholds", {"effusion": float("nan")}, "thresholds of effusion is nan; expected a number from 0 to 1"),
        ("thresholds", {"effusion": -1.0}, "is -1.0"),
        ("thresholds", {"effusion": 5.0}, "is 5.0"),
        ("thresholds", {"effusion": "high"}, "is 'high'"),
        ("thresholds", {"effusion": True}, "is True"),
        ("thresholds", {"effusion": None}, "is None"),
        ("thresholds", {"other": 0.5}, "is 'other'"),
        ("thresholds", {"normal": 0.5}, "thresholds are for normal; expected one for each of effusion"),
        ("thresholds", {"normal": 0.5, "effusion": 0.5}, "thresholds are for effusion, normal"),
        ("thresholds", {}, "thresholds are for no class"),
        ("thresholds", [0.5], "expected a value for each class"),
        ("temperature", 0.0, "temperature is 0.0"),
        ("temperature", float("inf"), "temperature is inf"),
        ("temperature", 1e-300, "temperature is 1e-300"),
        ("temperature", None, "temperature is None"),
        ("target_sensitivity", 0, "target_sensitivity is 0"),
        ("cases", -1, "cases is -1"),
        ("cases", 1.5, "cases is 1.5"),
        ("positives", {"effusion": 1.5}, "positives of effusion is 1.5"),
        ("sensitivity", {"effusion": 1.01}, "sensitivity of effusion is 1.01"),
        ("specificity", {"nobody": 0.5}, "specificity is 'nobody'"),
        ("reasons", {"effusion": 5}, "reasons holds more than texts"),
        ("reasons", {"else": "x"}, "reasons is 'else'"),
        ("chosen_on", "val\x1b", "chosen_on"),
    ],
)
def test_a_decision_that_cannot_be_is_refused_at_once(part: str, value: Any, said: str, fitted: Path) -> None:
    found = read_checkpoint(fitted)
    bad = fitted.with_name("bad.ckpt")
    torch.save(found | {"decision": found["decision"] | {part: value}}, bad)
    with pytest.raises(CheckpointError, match=r"decision|temperature|threshold") as caught:
        open_product(bad)
    assert said in str(caught.value)


def test_a_threshold_that_could_not_be_chosen_needs_its_reason(fitted: Path) -> None:
    found = read_checkpoint(fitted)
    lacking = {"thresholds": {"effusion": None}, "reasons": {"effusion": "no positive case"}}
    torch.save(found | {"decision": found["decision"] | lacking}, fitted.with_name("lacking.ckpt"))
    assert open_product(fitted.with_name("lacking.ckpt")).build_task().decision is not None
