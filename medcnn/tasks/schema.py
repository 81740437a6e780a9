"""The parts of a product, each checked for its type and its range once, when a model is opened."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from medcnn.errors import CheckpointError
from medcnn.printable import printable

LONGEST_NAME, MOST_CLASSES = 200, 10_000
LARGEST_SIZE, LARGEST_SPACING_MM = 100_000, 1000.0
_SPEC = frozenset(("class_path", "init_args", "dict_kwargs"))


def check_product(parts: Mapping[str, Any], name: str) -> None:
    """Check the parts of a product; a wrong type or an impossible value anywhere is an error with its place.

    Args:
        parts: task, preprocess, classes, multilabel, decision and provenance, as they were read.
        name: Of the file or folder, for messages.

    Raises:
        CheckpointError: With the part, its value, and what is expected.
    """
    try:
        _check_spec(parts["task"], "task")
        _require(isinstance(parts["preprocess"], list), "preprocess", parts["preprocess"], "a list of transforms")
        for place, step in enumerate(parts["preprocess"]):
            _check_spec(step, f"preprocess.{place}")
        _require(type(parts["multilabel"]) is bool, "multilabel", parts["multilabel"], "true or false")
        check_classes(parts["classes"], "classes", least=1 if parts["multilabel"] else 2)
        _check_twice(parts)
        _check_provenance(parts["provenance"])
    except _WrongValueError as error:
        raise CheckpointError(f"{printable(name, 80)}: {error}; take the checkpoint that `medcnn fit` wrote") from error


def check_classes(classes: Any, place: str, least: int) -> None:
    """Check that classes are a list of different names that can be printed.

    Raises:
        ValueError: They are not.
    """
    _require(isinstance(classes, list | tuple) and len(classes) <= MOST_CLASSES, place, classes, "a list of names")
    for name in classes:
        usable = isinstance(name, str) and bool(name.strip()) and len(name) <= LONGEST_NAME and printable(name) == name
        _require(usable, place, name, f"names of 1 to {LONGEST_NAME} printable characters")
    _require(least <= len(classes) == len(set(classes)), place, classes, f"at least {least} different names")


class _WrongValueError(ValueError):
    """A part that is not what it must be."""


def _require(holds: bool, place: str, value: Any, expected: str) -> None:
    if not holds:
        verb = "are" if place.endswith("classes") else "is"
        raise _WrongValueError(f"{printable(place, 80)} {verb} {shown(value)}; expected {expected}")


def shown(value: Any) -> str:
    """Return a value as Python writes it, cut and safe to print."""
    try:
        return printable(repr(value), 80)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a very long number"


def _check_spec(spec: Any, place: str) -> None:
    _require(isinstance(spec, Mapping) and "class_path" in spec, place, spec, "class_path and init_args")
    _require(isinstance(spec["class_path"], str), f"{place}.class_path", spec["class_path"], "the path of a class")
    _require(spec.keys() <= _SPEC, place, sorted(map(str, spec.keys() - _SPEC)), "class_path and init_args alone")
    for part in ("init_args", "dict_kwargs"):
        arguments = spec.get(part, {})
        named = isinstance(arguments, Mapping) and all(isinstance(key, str) for key in arguments)
        _require(named, f"{place}.{part}", arguments, "names and values")
        _check_storable(arguments, f"{place}.{part}")


def _check_storable(value: Any, place: str) -> None:
    """What JSON cannot hold would end in an error when the model is passed on."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            _check_storable(key, place)
            _check_storable(part, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for part in value:
            _check_storable(part, place)
    elif type(value) is float:
        _require(math.isfinite(value), place, value, "a finite number")
    elif type(value) is int:
        _require(-(2**63) <= value < 2**63, place, "a very long number", "a number of 64 bits")
    elif isinstance(value, str):
        _require(not any("\ud800" <= char <= "\udfff" for char in value), place, value, "text that UTF-8 can hold")


def _check_twice(parts: Mapping[str, Any]) -> None:
    """The task's own classes and kind: names in another order would exchange the probabilities."""
    arguments = parts["task"].get("init_args", {})
    if "classes" in arguments:
        given = arguments["classes"]
        same = isinstance(given, list | tuple) and list(given) == list(parts["classes"])
        _require(same, "task.init_args.classes", given, f"{list(parts['classes'])!r:.200}, as classes are")
    if "multilabel" in arguments:
        given = arguments["multilabel"]
        _require(given is parts["multilabel"], "task.init_args.multilabel", given, str(parts["multilabel"]).lower())


def _check_provenance(origin: Any) -> None:
    _require(isinstance(origin, Mapping), "provenance", origin, "names and values")
    for key in ("run_id", "medcnn_version", "data_digest"):
        text = origin.get(key, "")
        _require(_is_text(text), f"provenance.{key}", text, f"up to {LONGEST_NAME} printable characters")
    trained_on = origin.get("trained_on", [])
    _require(_is_list(trained_on) and all(map(_is_text, trained_on)), "provenance.trained_on", trained_on, "case names")
    patients = origin.get("trained_patients", [])
    _require(_is_list(patients) and all(map(_is_text, patients)), "provenance.trained_patients", patients, "names")
    positive = origin.get("positive", "")
    _require(_is_text(positive), "provenance.positive", positive, "the name of a class, or none")
    shape = origin.get("image_shape", [])
    _require(_is_shape(shape), "provenance.image_shape", shape, "channels and sizes, as [1, 224, 224], or none")
    per_voxel = origin.get("per_voxel", False)
    _require(type(per_voxel) is bool, "provenance.per_voxel", per_voxel, "true or false")
    spacing = origin.get("spacing_mm", [])
    _require(_is_spacing(spacing), "provenance.spacing_mm", spacing, "2 or 3 sizes in mm above 0, or none")


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_NAME and printable(value) == value


def _is_shape(value: Any) -> bool:
    return _is_list(value) and len(value) != 1 and all(type(size) is int and 0 < size <= LARGEST_SIZE for size in value)


def _is_spacing(value: Any) -> bool:
    return (
        _is_list(value)
        and len(value) in (0, 2, 3)
        and all(type(size) in (int, float) and 0 < size <= LARGEST_SPACING_MM for size in value)
    )


def check_number(value: Any, place: str, low: float, high: float) -> float:
    """Return a number as a float.

    Raises:
        ValueError: It is no number, or not from ``low`` to ``high``.
    """
    _require(type(value) in (int, float) and low <= value <= high, place, value, f"a number from {low:g} to {high:g}")
    return float(value)


def check_by_class(value: Any, place: str, classes: Sequence[str] | None) -> Mapping[str, Any]:
    """Return a mapping from classes.

    Raises:
        ValueError: It is no mapping, or has a key that is none of the classes.
    """
    _require(isinstance(value, Mapping), place, value, "a value for each class")
    for name in value:
        known = _is_text(name) and (classes is None or name in classes)
        _require(known, place, name, "names of classes" if classes is None else f"of {', '.join(classes):.200}")
    return value
