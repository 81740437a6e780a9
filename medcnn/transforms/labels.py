"""Connected components of masks, the largest of them, and holes filled: 2-D and 3-D."""

from typing import Literal

import cc3d
import numpy as np

Connectivity = Literal[4, 8, 6, 18, 26]
KNOWN: dict[int, tuple[Connectivity, ...]] = {2: (4, 8), 3: (6, 18, 26)}


def components(mask: np.ndarray, connectivity: Connectivity | None = None) -> tuple[np.ndarray, int]:
    """Label the connected components of a mask in the order of their first voxels, as ``scipy.ndimage.label`` does.

    Args:
        mask: bool ``(rows, columns)`` or ``(planes, rows, columns)``.
        connectivity: Neighbors of a voxel: 4 or 8 in 2-D, 6, 18 or 26 in 3-D; the largest where ``None``.

    Returns:
        int32 of the shape of ``mask``, labels from 1 with 0 for background, and how many there are.

    Raises:
        ValueError: For a connectivity that does not belong to the mask's dimension.
    """
    labels, count = _labels(mask, connectivity)
    where = np.flatnonzero(labels)[::-1]
    first = np.empty(count + 1, dtype=np.intp)
    first[0] = -1
    # Of several values for one place numpy keeps the last: walked backwards, the first voxel of each label.
    first[labels.reshape(-1)[where]] = where
    order = np.empty(count + 1, dtype=np.int32)
    order[np.argsort(first)] = np.arange(count + 1)
    return order[labels], count


def _labels(mask: np.ndarray, connectivity: Connectivity | None) -> tuple[np.ndarray, int]:
    """Labels in whatever order cc3d finds them."""
    known = KNOWN.get(mask.ndim, ())
    connectivity = known[-1] if connectivity is None and known else connectivity
    if connectivity is None or connectivity not in known:
        raise ValueError(f"connectivity of a {mask.ndim}-D mask must be one of {known}, found {connectivity}")
    labels, count = cc3d.connected_components(
        np.ascontiguousarray(mask), connectivity=connectivity, return_N=True, binary_image=True
    )
    return labels, int(count)


def largest_component(mask: np.ndarray, connectivity: Connectivity | None = None) -> np.ndarray:
    """The component with the most voxels, of equals the one whose first voxel comes first; bool, empty for empty."""
    labels, count = _labels(mask, connectivity)
    if count < 2:
        return mask.copy()
    sizes = np.bincount(labels.reshape(-1), minlength=count + 1)
    sizes[0] = 0
    equals = np.flatnonzero(sizes == sizes.max())
    chosen = equals[0] if len(equals) == 1 else labels.flat[np.isin(labels, equals).argmax()]
    return labels == chosen


def filled(mask: np.ndarray) -> np.ndarray:
    """A mask with the background filled that no path of face neighbors joins to the border of the image. bool."""
    # A margin of background makes everything outside one component, the one at the corner.
    background = np.pad(~mask, 1, constant_values=True)
    labels, _ = _labels(background, KNOWN[mask.ndim][0])
    return (labels != labels.flat[0])[(slice(1, -1),) * mask.ndim]
