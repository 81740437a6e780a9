"""From a film or volume to the tensor that the net was trained on: the same steps in a worker and in the parent."""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from medcnn.errors import CheckpointError, ReadError
from medcnn.io.film import Film, as_image
from medcnn.io.volume import Volume, volume_as_image

if TYPE_CHECKING:
    from medcnn.tasks.checkpoint import Product

Transform = Callable[[dict[str, Any]], dict[str, Any]]
Reader = Callable[[Any], Film | Volume]


class Prepared(NamedTuple):
    """An image ready for the net, and what its finding will say beside the numbers.

    ``array`` is float32 ``(C, *spatial)``.
    """

    array: np.ndarray
    study: str
    series: str
    sop: str
    flags: tuple[str, ...]


class Refusal(NamedTuple):
    """Why a file has no finding: a reason code, and the reason in words."""

    reason: str
    sentence: str


def prepare(image: Film | Volume, transforms: Sequence[Transform]) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Run the fixed steps of a model over a film or a volume.

    Args:
        image: One decoded image.
        transforms: ``Product.build_preprocess()``.

    Returns:
        Float32 ``(C, *spatial)``, and the flags of the image and of the steps, each once.
    """
    carried = as_image(image) if isinstance(image, Film) else volume_as_image(image)
    case: dict[str, Any] = {"image": carried, "flags": list(image.flags)}
    for transform in transforms:
        case = transform(case)
    prepared = torch.as_tensor(case["image"]).detach().to(torch.float32)
    return prepared.contiguous(), tuple(dict.fromkeys(case["flags"]))


def prepare_file(item: Any, read: Reader, transforms: Sequence[Transform]) -> Prepared | Refusal:
    """Read and prepare what ``read`` takes, a path for instance; whatever is wrong becomes a reason, no exception."""
    try:
        image = read(item)
        prepared, flags = prepare(image, transforms)
    except ReadError as error:
        return Refusal(error.code, str(error))
    except MemoryError:
        return Refusal("out_of_memory", "the image needs more memory than there is")
    except Exception as error:  # noqa: BLE001  # one file must not cost the others; its text may hold header values
        return Refusal("prepare_failed", f"the steps before the net ended in {type(error).__name__}")
    array = prepared.as_subclass(torch.Tensor).numpy()
    if not np.isfinite(array).all():
        return Refusal("not_finite", "the image holds values that are not numbers")
    sop = image.sop if isinstance(image, Film) else ""  # a volume is made of many
    return Prepared(array, uid(image.study), uid(image.series), uid(sop), flags)


def uid(text: str) -> str:
    """Return a UID, or nothing: an element that should hold one can hold a name in a damaged header."""
    return text if re.fullmatch(r"[0-9.]{1,64}", text) else ""


def image_shape(product: "Product") -> tuple[int, ...]:
    """Shape ``(C, *spatial)`` of the images that a model was trained on, empty where it does not say.

    Raises:
        CheckpointError: If they were neither films nor volumes, or a case had several volumes.
    """
    shape = tuple(int(size) for size in product.provenance.get("image_shape") or ())
    if shape and len(shape) not in (3, 4):
        raise CheckpointError(
            f"this model takes images of {len(shape) - 1} dimensions: films have 2 and volumes 3; give one trained on "
            "either"
        )
    if len(shape) == 4 and shape[0] > 1:
        raise CheckpointError(
            f"this model takes {shape[0]} sequences a case, and a folder does not say which volumes belong together: "
            "`medcnn predict` reads them from a table with a column for each"
        )
    return shape


def scored_shape(product: "Product") -> tuple[int, ...]:
    """As ``image_shape``, of a model that answers with one finding an image.

    Raises:
        CheckpointError: If it answers with masks, or ``image_shape`` does.
    """
    if product.provenance.get("per_voxel"):
        raise CheckpointError("this model draws masks and finds no classes: `medcnn segment` writes what it draws")
    return image_shape(product)


def takes_volumes(shape: Sequence[int]) -> bool:
    """Whether images of this shape are volumes; a model that does not say takes films."""
    return len(shape) == 4
