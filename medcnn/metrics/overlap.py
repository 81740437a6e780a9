"""Overlap of two label maps by counting voxels where they lie: nothing but a small table leaves the device."""

import torch
from torch import Tensor


def overlap(labels: Tensor, truth: Tensor, classes: int, voxel_mm3: float) -> dict[str, Tensor]:
    """Dice and volumes of each class but the background.

    Args:
        labels: int64, any shape, 0 to ``classes - 1``.
        truth: int64 of the same shape; -1 is unknown and takes no part.
        classes: How many there are, the background included.
        voxel_mm3: Volume of a voxel.

    Returns:
        ``dice``, ``volume_error``, ``volume_mm3`` and ``truth_mm3``, each float64 ``(classes - 1,)`` on the CPU:
        the figures of ``medcnn.metrics.segmentation`` of the same names, NaN where those are.
    """
    # Voxels of unknown class are counted in a row of their own, which is left out.
    pairs = torch.bincount(((truth + 1) * classes + labels).flatten(), minlength=(classes + 1) * classes)
    table = pairs.reshape(classes + 1, classes)[1:].double().cpu()
    both, true, found = table.diagonal()[1:], table.sum(dim=1)[1:], table.sum(dim=0)[1:]
    return {
        "dice": 2 * both / (true + found),
        "volume_error": torch.where(true > 0, (found - true) / true, torch.nan),
        "volume_mm3": found * voxel_mm3,
        "truth_mm3": true * voxel_mm3,
    }
