"""The classes that a configuration or a model file may name, and the only way from such a name to an import."""

import importlib
import os
import re
from typing import Any

from medcnn.errors import MedcnnError
from medcnn.printable import printable

#: Packages whose classes a model file may name.
MODEL_PACKAGES = (
    "medcnn.nets.", "medcnn.losses.", "medcnn.transforms.", "medcnn.tasks.",
    "monai.networks.nets.", "monai.networks.blocks.", "monai.transforms.", "monai.losses.",
    "torch.nn.", "torch.optim.",
)  # fmt: skip
#: Packages whose classes a configuration may name.
CONFIG_PACKAGES = (
    *MODEL_PACKAGES, "medcnn.data.",
    "pytorch_lightning.callbacks.", "pytorch_lightning.strategies.", "pytorch_lightning.accelerators.",
    "pytorch_lightning.plugins.", "pytorch_lightning.profilers.",
    "lightning_fabric.strategies.", "lightning_fabric.accelerators.", "lightning_fabric.plugins.",
)  # fmt: skip
#: Base classes of which a model is made.
MODEL_KINDS = frozenset((
    "torch.nn.modules.module.Module", "torch.optim.optimizer.Optimizer", "torch.optim.lr_scheduler.LRScheduler",
    "monai.transforms.transform.Transform",
))  # fmt: skip
#: Base classes of which a training is made.
CONFIG_KINDS = MODEL_KINDS | {
    "pytorch_lightning.core.datamodule.LightningDataModule", "pytorch_lightning.callbacks.callback.Callback",
    "pytorch_lightning.strategies.strategy.Strategy", "lightning_fabric.accelerators.accelerator.Accelerator",
    "pytorch_lightning.profilers.profiler.Profiler", "pytorch_lightning.plugins.precision.precision.Precision",
    "pytorch_lightning.plugins.layer_sync.LayerSync", "lightning_fabric.plugins.io.checkpoint_io.CheckpointIO",
    "lightning_fabric.plugins.environments.cluster_environment.ClusterEnvironment",
}  # fmt: skip

# Subpackages of MONAI's transforms that compute on arrays. The others read and write files, call what they are given
# or look classes up in further packages: of `utility` and `compose` only the classes in UTILITIES are allowed.
_ARRAY_TRANSFORMS = ("intensity", "spatial", "croppad", "smooth_field", "regularization")
_UTILITIES = frozenset((
    "AddCoordinateChannels", "AsChannelLast", "CastToType", "Compose", "ConcatItems", "CopyItems", "DeleteItems",
    "EnsureChannelFirst", "EnsureType", "FlattenSubKeys", "Identity", "LabelToMask", "MapLabelValue", "OneOf",
    "RandomOrder", "RemoveRepeatedChannel", "RepeatChannel", "SelectItems", "SplitDim", "SqueezeDim", "ToTensor",
    "Transpose",
))  # fmt: skip
# Modules whose classes fetch weights or code from elsewhere, or call what they are given.
_REACHING_OUT = frozenset((
    "monai.networks.nets.cell_sam_wrapper", "monai.networks.nets.hovernet", "monai.networks.nets.milmodel",
    "monai.networks.nets.quicknat",
    "monai.networks.nets.torchvision_fc", "monai.networks.nets.transchex", "monai.networks.blocks.backbone_fpn_utils",
    "monai.networks.blocks.fcn", "monai.networks.blocks.hyena", "monai.networks.blocks.text_embedding",
    "monai.losses.perceptual", "pytorch_lightning.callbacks.lambda_function",
))  # fmt: skip
_PATH = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+")
# A number type as a configuration writes it: the default of many a MONAI transform.
_NUMBER_TYPE = re.compile(r"(numpy|torch)\.(bool|u?int(?:8|16|32|64)|b?float(?:16|32|64))")


class NotAllowedError(MedcnnError, ValueError):
    """A name of something that may not be imported; nothing was imported or run."""


class NotInstalledError(MedcnnError):
    """A name that the allow-list permits and that is not there."""


def own_packages() -> tuple[str, ...]:
    """Prefixes of the packages that the user allows by the environment variable ``MEDCNN_ALLOW``."""
    names = (name.strip().rstrip(".") for name in os.environ.get("MEDCNN_ALLOW", "").split(","))
    return tuple(f"{name}." for name in names if name)


def number_type(path: object) -> Any:
    """Return the number type that ``numpy.float32``, ``torch.int64`` and the like name, None for any other path."""
    if not isinstance(path, str) or not (match := _NUMBER_TYPE.fullmatch(path)):
        return None
    return getattr(importlib.import_module(match[1]), match[2], None)


def check_path(path: object, packages: tuple[str, ...]) -> str:
    """Return a dotted path as it is, if it leads into one of the packages.

    Raises:
        NotAllowedError: It is no dotted path, or leads elsewhere.
    """
    if not isinstance(path, str) or not _PATH.fullmatch(path) or not path.startswith(packages):
        raise _refusal(path, "is not on the allow-list")
    return path


def check_object(path: str, found: Any, packages: tuple[str, ...], kinds: frozenset[str]) -> None:
    """Check what a path led to by the module that defines it: packages re-export much that is not their own.

    Raises:
        NotAllowedError: It is not a class of one of the kinds, or it is defined outside the packages, or it reads
            files, fetches from elsewhere or calls what it is given.
    """
    own = own_packages()
    module = getattr(found, "__module__", None) or ""
    if kinds is CONFIG_KINDS and own and callable(found) and f"{module}.".startswith(own):
        return
    if not isinstance(found, type) or not any(
        f"{base.__module__}.{base.__qualname__}" in kinds for base in found.__mro__
    ):
        raise _refusal(path, "is none of the kinds of class that may be built here")
    if not f"{module}.".startswith(packages):
        raise _refusal(path, f"is defined in {module}, which is not on the allow-list")
    if module in _REACHING_OUT or not _computes_only(module, found.__name__):
        raise _refusal(path, "reads files, fetches from elsewhere or calls what it is given")


def resolve(path: object, packages: tuple[str, ...], kinds: frozenset[str]) -> type:
    """Return the class that a path names. The path is checked before anything is imported, and then the class.

    Raises:
        NotAllowedError: Not on the list.
        NotInstalledError: On the list, and not there.
    """
    path = check_path(path, packages)
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise NotInstalledError(f"{printable(path, 200)} is not installed here ({printable(error, 160)})") from error
    check_object(path, found, packages, kinds)
    return found


def _computes_only(module: str, name: str) -> bool:
    """Return whether a MONAI transform works on arrays alone; every other kind of class passes."""
    place = module.split(".")
    if place[:2] != ["monai", "transforms"]:
        return True
    return place[2] in _ARRAY_TRANSFORMS or name in _UTILITIES or name.removesuffix("d") in _UTILITIES


def _refusal(path: object, why: str) -> NotAllowedError:
    return NotAllowedError(f"{printable(path, 200)!r} {why}; nothing was imported or run")
