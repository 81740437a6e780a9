"""Objects as plain data ``{"class_path", "init_args"}``: what a checkpoint may hold instead of a pickle."""

import inspect
from collections.abc import Iterable
from typing import Any, TypeVar

T = TypeVar("T")
_REMEMBERED = "_medcnn_spec"


def described(cls: type[T], /, **init_args: Any) -> T:
    """Builds an object and remembers how, so that a pipeline written in Python is stored like one written in YAML.

    Args:
        cls: Class of a transform or an augmentation.
        **init_args: Its arguments as plain data: numbers, text, lists.

    Raises:
        ValueError: If an argument is not plain data.
    """
    plain = {name: _plain(value) for name, value in init_args.items()}
    made = cls(**init_args)
    object.__setattr__(made, _REMEMBERED, {"class_path": _class_path(cls), "init_args": plain})
    return made


def spec_of(made: Any) -> dict[str, Any] | None:
    """How to build this object again, or None where that cannot be told.

    Known for objects from ``described``, for dicts that are a specification already, and for classes that keep each
    constructor argument under its own name, as the transforms of this package do.
    """
    if isinstance(made, dict):
        return made if "class_path" in made else None
    remembered = vars(made).get(_REMEMBERED) if hasattr(made, "__dict__") else None
    return remembered or _from_attributes(made)


def specs_of(made: Iterable[Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """Specifications of a list of objects, and the class names of those that cannot tell theirs."""
    found = [(spec_of(item), type(item).__name__) for item in made]
    return [spec for spec, _ in found if spec is not None], [name for spec, name in found if spec is None]


def _from_attributes(made: Any) -> dict[str, Any] | None:
    init_args: dict[str, Any] = {}
    for name, parameter in inspect.signature(type(made).__init__).parameters.items():
        if name == "self":
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or not hasattr(made, name):
            return None
        try:
            init_args[name] = _plain(getattr(made, name))
        except ValueError:
            return None
    return {"class_path": _class_path(type(made)), "init_args": init_args}


def _class_path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(item) for key, item in value.items()}
    raise ValueError(f"expected plain data, found {type(value).__name__}: write it as numbers, text, lists or dicts")
