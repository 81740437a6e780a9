"""From a film to the tensor that the net was trained on: the same steps in a worker and in the parent."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from medcnn.errors import CheckpointError, ReadError
from medcnn.io.film import Film, as_image

if TYPE_CHECKING:
    from medcnn.tasks.checkpoint import Product

Transform = Callable[[dict[str, Any]], dict[str, Any]]
Reader = Callable[[Path], Film]


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


def prepare(film: Film, transforms: Sequence[Transform]) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Run the fixed steps of a model over a film.

    Args:
        film: One decoded image.
        transforms: ``Product.build_preprocess()``.

    Returns:
        Float32 ``(C, *spatial)``, and the flags of the film and of the steps, each once.
    """
    case: dict[str, Any] = {"image": as_image(film), "flags": list(film.flags)}
    for transform in transforms:
        case = transform(case)
    image = torch.as_tensor(case["image"]).detach().to(torch.float32)
    return image.contiguous(), tuple(dict.fromkeys(case["flags"]))


def prepare_file(path: Path, read: Reader, transforms: Sequence[Transform]) -> Prepared | Refusal:
    """Read and prepare one file; whatever is wrong with it becomes a reason, never an exception."""
    try:
        film = read(path)
        image, flags = prepare(film, transforms)
    except ReadError as error:
        return Refusal(error.code, str(error))
    except MemoryError:
        return Refusal("out_of_memory", "the image needs more memory than there is")
    except Exception as error:  # noqa: BLE001  # one file must not cost the others; its text may hold header values
        return Refusal("prepare_failed", f"the steps before the net ended in {type(error).__name__}")
    array = image.as_subclass(torch.Tensor).numpy()
    if not np.isfinite(array).all():
        return Refusal("not_finite", "the image holds values that are not numbers")
    return Prepared(array, _uid(film.study), _uid(film.series), _uid(film.sop), flags)


def _uid(text: str) -> str:
    """A UID, or nothing: an element that should hold one can hold a name in a damaged header."""
    return text if re.fullmatch(r"[0-9.]{1,64}", text) else ""


def film_shape(product: "Product") -> tuple[int, ...]:
    """Shape ``(C, rows, columns)`` of the images that a model was trained on, empty where it does not say.

    Raises:
        CheckpointError: If they were volumes.
    """
    shape = tuple(int(size) for size in product.provenance.get("image_shape") or ())
    if shape and len(shape) != 3:
        raise CheckpointError(
            f"this model takes images of {len(shape) - 1} dimensions, and films have 2: give one trained on films"
        )
    return shape
