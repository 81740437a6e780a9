"""From plain data to objects: only classes on the allow-list, within limits of memory and time."""

import re
from collections.abc import Mapping
from typing import Any

from medcnn import allowlist
from medcnn.allowlist import MODEL_KINDS, MODEL_PACKAGES, NotAllowedError, NotInstalledError, number_type, own_packages
from medcnn.errors import CheckpointError, MedcnnError
from medcnn.printable import printable
from medcnn.tasks.build_limits import PARAMETERS, build_limits

# Arguments by which a net reads a file or an address. The weights come with the model, so none is ever needed.
FETCHING_ARGUMENT = re.compile(r"pretrain|_url$|^url$|checkpoint_path|ckpt|cache_dir|filename|weights_path")
DEEPEST = 20


def build(spec: Any, allow: tuple[str, ...] = (), parameters: int = PARAMETERS) -> Any:
    """The object that ``{"class_path": ..., "init_args": {...}}`` describes; nested specs are built first.

    Args:
        spec: A spec, or plain data, which comes back as it is with the specs in it built.
        allow: Packages besides those of the allow-list and of the environment's ``MEDCNN_ALLOW``.
        parameters: Numbers that what is built may learn.

    Returns:
        A module, transform, optimizer or scheduler. A task keeps the spec as its hyper-parameters.

    Raises:
        CheckpointError: A class outside the allow-list, a spec that is no spec, or arguments that the class refuses.
    """
    packages = (*MODEL_PACKAGES, *own_packages(), *(f"{name.rstrip('.')}." for name in allow))
    _import_classes(spec, packages, 0)  # outside the limits, which imports would count against
    with build_limits(parameters):
        return _build(spec, packages)


def resolve(class_path: Any, packages: tuple[str, ...] = MODEL_PACKAGES) -> type:
    """The class that a model's path names.

    Raises:
        CheckpointError: Not allowed, not there, or not a class of a kind that may be built.
    """
    try:
        return allowlist.resolve(class_path, packages, MODEL_KINDS)
    except NotAllowedError as error:
        raise CheckpointError(f"the model cannot be opened: {error}") from error
    except NotInstalledError as error:
        raise CheckpointError(
            f"the model cannot be opened: {error}; install the version of medcnn that wrote it, or the package it names"
        ) from error


def _import_classes(spec: Any, packages: tuple[str, ...], depth: int) -> None:
    if depth > DEEPEST:
        raise CheckpointError(f"the model's description is nested more than {DEEPEST} deep; it is not one of ours")
    if isinstance(spec, Mapping) and "class_path" in spec:
        resolve(spec["class_path"], packages)
    parts = spec.values() if isinstance(spec, Mapping) else spec if isinstance(spec, list | tuple) else ()
    for part in parts:
        _import_classes(part, packages, depth + 1)


def _build(spec: Any, packages: tuple[str, ...]) -> Any:
    if (number := number_type(spec)) is not None:
        return number
    if isinstance(spec, list | tuple):
        return type(spec)(_build(part, packages) for part in spec)
    if not isinstance(spec, Mapping):
        return spec
    if "class_path" not in spec:
        return {key: _build(part, packages) for key, part in spec.items()}
    built, arguments = resolve(spec["class_path"], packages), _arguments(spec)
    ready = {name: _build(part, packages) for name, part in arguments.items()}
    return _made(built, ready, {"_class_path": spec["class_path"], **arguments})


def _arguments(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a spec, without any by which a net would fetch weights."""
    groups = [spec.get(name) or {} for name in ("init_args", "dict_kwargs")]
    known = spec.keys() <= {"class_path", "init_args", "dict_kwargs"}
    if not known or not all(isinstance(group, Mapping) and all(map(_is_word, group)) for group in groups):
        raise CheckpointError(
            f"the description of {printable(spec['class_path'], 200)} holds more than class_path and init_args"
        )
    return {
        name: (False if FETCHING_ARGUMENT.search(name) and isinstance(value, bool | str) else value)
        for group in groups
        for name, value in group.items()
    }


def _is_word(key: Any) -> bool:
    return isinstance(key, str)


def _made(built: type, ready: dict[str, Any], spec: dict[str, Any]) -> Any:
    try:
        if hasattr(built, "save_hyperparameters"):
            # Here, and not above: a process that only prepares images can do without Lightning.
            from pytorch_lightning.core.mixins.hparams_mixin import _given_hyperparameters_context

            # As LightningCLI does: the hyper-parameters are the description, not the objects made from it.
            with _given_hyperparameters_context(spec, "pytorch_lightning.cli.instantiate_module"):
                return built(**ready)
        return built(**ready)
    except (MedcnnError, MemoryError, SystemError):
        raise
    except Exception as error:  # what constructors raise for arguments of the wrong kind is up to them
        first = printable((str(error).splitlines() or [type(error).__name__])[0], 200)
        raise CheckpointError(f"{spec['_class_path']} cannot be built from the model's arguments: {first}") from error
