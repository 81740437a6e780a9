"""From plain data to objects: only classes on an allow-list, and nothing is imported to find out."""

import importlib
import os
import re
from collections.abc import Mapping
from typing import Any

import numpy
import torch
from monai.transforms.transform import Transform
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from medcnn.errors import CheckpointError

#: Packages a model file may name. ``MEDCNN_ALLOW=mypackage,other.nets`` adds packages of the user's own.
ALLOWED = (
    "medcnn.nets.", "medcnn.losses.", "medcnn.transforms.", "medcnn.tasks.",
    "monai.networks.nets.", "monai.networks.blocks.", "monai.transforms.", "monai.losses.",
    "torch.nn.", "torch.optim.",
)  # fmt: skip
KINDS = (nn.Module, Transform, Optimizer, LRScheduler)
# Rooms of MONAI's transforms that compute on arrays. The others read and write files, call what they are given or
# look classes up by name in further packages: of `utility` only the harmless ones are let in, by name.
ARRAY_ROOMS = ("intensity", "spatial", "croppad", "smooth_field", "regularization")
UTILITIES = (
    "AddCoordinateChannels", "AsChannelLast", "CastToType", "Compose", "ConcatItems", "CopyItems", "DeleteItems",
    "EnsureChannelFirst", "EnsureType", "FlattenSubKeys", "Identity", "LabelToMask", "MapLabelValue", "OneOf",
    "RandomOrder", "RemoveRepeatedChannel", "RepeatChannel", "SelectItems", "SplitDim", "SqueezeDim", "ToTensor",
    "Transpose",
)  # fmt: skip
# Modules whose classes fetch weights or code from elsewhere when built.
FETCHING = (
    "monai.networks.nets.cell_sam_wrapper", "monai.networks.nets.milmodel", "monai.networks.nets.quicknat",
    "monai.networks.nets.torchvision_fc", "monai.networks.nets.transchex", "monai.networks.blocks.backbone_fpn_utils",
    "monai.networks.blocks.fcn", "monai.networks.blocks.text_embedding", "monai.losses.perceptual",
)  # fmt: skip
# Arguments by which a net reads a file or an address. The weights come with the model, so none is ever needed.
FETCHING_ARGUMENT = re.compile(r"pretrain|_url$|^url$|checkpoint_path|ckpt|cache_dir|filename|weights_path")
# A number type as YAML writes it: the default of many a MONAI transform.
NUMBER_TYPE = re.compile(r"(numpy|torch)\.(bool|u?int(?:8|16|32|64)|b?float(?:16|32|64))")
CLASS_PATH = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+")
DEEPEST = 20


def build(spec: Any, allow: tuple[str, ...] = ()) -> Any:
    """The object that ``{"class_path": ..., "init_args": {...}}`` describes; nested specs are built first.

    Args:
        spec: A spec, or plain data, which comes back as it is with the specs in it built.
        allow: Packages besides ``ALLOWED`` and those in the environment's ``MEDCNN_ALLOW``.

    Returns:
        A module, transform, optimizer or scheduler. A task keeps the spec as its hyper-parameters.

    Raises:
        CheckpointError: A class outside the allow-list, a spec that is no spec, or arguments that the class refuses.
    """
    return _build(spec, prefixes(allow), 0)


def prefixes(allow: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What a class path may begin with: the allow-list, the caller's and the user's packages."""
    own = [name.strip() for name in os.environ.get("MEDCNN_ALLOW", "").split(",")]
    return ALLOWED + tuple(f"{name.rstrip('.')}." for name in (*allow, *own) if name)


def resolve(class_path: Any, allowed: tuple[str, ...] = ALLOWED) -> type:
    """The class a path names.

    The path is judged before anything is imported, and the class by the module that truly defines it: an allowed
    package re-exports much that is not its own.

    Raises:
        CheckpointError: Not allowed, not there, or not a class of a kind that may be built.
    """
    if not isinstance(class_path, str) or not CLASS_PATH.fullmatch(class_path) or not class_path.startswith(allowed):
        raise _refusal(class_path, "is outside the allow-list")
    module, _, name = class_path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise CheckpointError(
            f"{class_path}, which the model asks for, is not installed here ({error}); "
            "install the version of medcnn that wrote the model, or the package it names"
        ) from error
    if not isinstance(found, type) or not issubclass(found, KINDS):
        raise _refusal(class_path, "is no module, transform, optimizer or scheduler")
    if not f"{found.__module__}.".startswith(allowed):
        raise _refusal(class_path, f"is defined in {found.__module__}, outside the allow-list")
    if found.__module__ in FETCHING or not _computes_only(found):
        raise _refusal(class_path, "reads files, fetches from elsewhere or calls what it is given")
    return found


def _build(spec: Any, allowed: tuple[str, ...], depth: int) -> Any:
    if depth > DEEPEST:
        raise CheckpointError(f"the model's description is nested more than {DEEPEST} deep; it is not one of ours")
    if isinstance(spec, str) and (number := NUMBER_TYPE.fullmatch(spec)):
        return getattr(numpy if number[1] == "numpy" else torch, number[2])
    if isinstance(spec, list | tuple):
        return type(spec)(_build(part, allowed, depth + 1) for part in spec)
    if not isinstance(spec, Mapping):
        return spec
    if "class_path" not in spec:
        return {key: _build(part, allowed, depth + 1) for key, part in spec.items()}
    built, arguments = resolve(spec["class_path"], allowed), _arguments(spec)
    ready = {name: _build(part, allowed, depth + 1) for name, part in arguments.items()}
    return _made(built, ready, {"_class_path": spec["class_path"], **arguments})


def _arguments(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a spec, without any by which a net would fetch weights."""
    groups = [spec.get(name) or {} for name in ("init_args", "dict_kwargs")]
    known = spec.keys() <= {"class_path", "init_args", "dict_kwargs"}
    if not known or not all(isinstance(group, Mapping) and all(map(_is_word, group)) for group in groups):
        raise CheckpointError(f"the description of {spec['class_path']} holds more than class_path and init_args")
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
    except (TypeError, ValueError, RuntimeError, KeyError, AttributeError, MemoryError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{spec['_class_path']} cannot be built from the model's arguments: {first}") from error


def _computes_only(found: type) -> bool:
    """Whether a MONAI transform works on arrays alone; every other kind of class passes."""
    place = found.__module__.split(".")
    if place[:2] != ["monai", "transforms"]:
        return True
    plain_name = found.__name__.removesuffix("d")
    return place[2] in ARRAY_ROOMS or found.__name__ in UTILITIES or plain_name in UTILITIES


def _refusal(class_path: Any, why: str) -> CheckpointError:
    package = str(class_path).partition(".")[0]
    return CheckpointError(
        f"the model asks for {str(class_path)[:200]!r}, which {why}; nothing was run. "
        f"If you know the package and trust the file, set MEDCNN_ALLOW={package[:40]}"
    )
