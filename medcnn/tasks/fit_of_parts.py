"""Do net, data and classes fit each other? Said in one line at the first batch, not in a traceback from a kernel."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from medcnn.errors import ConfigError

# What torch says when an image has the wrong number of channels, or is too small or of the wrong dimension.
COMPLAINTS = (
    "channels", "shapes cannot be multiplied", "dimension", "input size", "spatial", "Output size is too small",
    "Kernel size", "must match the size", "D (unbatched)",
)  # fmt: skip


def explained(net: nn.Module, image: Tensor) -> Any:
    """The net's logits, or its list of them; a complaint about channels or sizes becomes one line.

    Raises:
        ConfigError: The net does not take images of this shape.
    """
    try:
        return net(image)
    except (RuntimeError, ValueError) as error:
        first = str(error).splitlines()[0] if str(error) else ""
        # A ValueError is a net's own word about what it was given.
        if isinstance(error, RuntimeError) and not any(words in first for words in COMPLAINTS):
            raise
        raise ConfigError(
            f"{type(net).__name__} does not take images of shape {tuple(image.shape[1:])} (channels, *spatial): "
            f"{first}; set the net's in_channels and spatial_dims to them, or change preprocess"
        ) from error


def check_batch(batch: Mapping[str, Tensor], logits: Tensor, classes: Sequence[str], multilabel: bool) -> None:
    """Compare one batch's logits and labels with the classes.

    Raises:
        ConfigError: The net gives another number of logits, or labels are of the wrong shape, type or range.
    """
    count, labels, cases = len(classes), batch["label"], len(batch["image"])
    if logits.shape != (cases, count):
        raise ConfigError(
            f"the net gives logits of shape {tuple(logits.shape[1:])} a case, and there are {count} classes "
            f"({', '.join(classes)}); set its number of outputs (--model.init_args.net.init_args.out_channels {count})"
        )
    wanted = (cases, count) if multilabel else (cases,)
    if labels.shape != wanted or labels.is_floating_point() != multilabel:
        kind = "float findings, NaN unknown" if multilabel else "int64 classes, -1 unknown"
        raise ConfigError(
            f"labels are {labels.dtype} {tuple(labels.shape)}; expected {kind}, {wanted}: "
            f"the data is {'not ' if multilabel else ''}multi-label where the task is {'' if multilabel else 'not '}so"
        )
    lowest, highest = (0, 1) if multilabel else (-1, count - 1)
    wrong = (labels < lowest) | (labels > highest)
    if bool(wrong.any()):
        allowed = "0 to 1, or NaN where unknown" if multilabel else f"0 to {count - 1}, or -1 where unknown"
        raise ConfigError(f"a label is {labels[wrong][0].item():g}; expected {allowed}, for {', '.join(classes)}")


def check_voxels(batch: Mapping[str, Tensor], logits: Tensor, classes: Sequence[str]) -> None:
    """Compare one batch's logits and masks with the classes.

    Raises:
        ConfigError: The net gives another number of logits or another size, or masks are of the wrong shape, type or
            range.
    """
    image, mask, count = batch["image"], batch["mask"], len(classes)
    wanted = (len(image), *image.shape[2:])
    if logits.shape != (wanted[0], count, *wanted[1:]):
        raise ConfigError(
            f"the net gives logits of shape {tuple(logits.shape[1:])} for images of {tuple(image.shape[1:])}; expected "
            f"{(count, *wanted[1:])}, for the classes {', '.join(classes)}: set its number of outputs "
            f"(--model.init_args.net.init_args.out_channels {count}), or take a net that answers for each voxel"
        )
    if mask.shape != wanted or mask.is_floating_point():
        raise ConfigError(f"masks are {mask.dtype} {tuple(mask.shape)}; expected int64 {wanted}, as the images")
    lowest, highest = int(mask.min()), int(mask.max())
    if lowest < -1 or highest >= count:
        wrong = lowest if lowest < -1 else highest
        raise ConfigError(
            f"a mask holds the value {wrong}; expected 0 to {count - 1}, or -1 where unknown, for {', '.join(classes)}"
        )


def check_counts(counts: Tensor, classes: Sequence[str], multilabel: bool) -> Tensor:
    """The training split's counts, as they came.

    Raises:
        ConfigError: They are not ``(K,)``, or for findings ``(K, 2)``.
    """
    wanted = (len(classes), 2) if multilabel else (len(classes),)
    if counts.shape != wanted:
        raise ConfigError(
            f"the data counts cases as {tuple(counts.shape)}; expected {wanted} for {', '.join(classes)}: the data is "
            f"{'not ' if multilabel else ''}multi-label where the task is {'' if multilabel else 'not '}so, "
            "or has other classes"
        )
    return counts
