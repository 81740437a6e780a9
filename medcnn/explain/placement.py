"""From the grid that a net saw back to the image that it was made of, by what both know of their place."""

import torch
import torch.nn.functional as F
from torch import Tensor


def onto_grid(relevance: Tensor, affine: Tensor, shape: tuple[int, int], target_affine: Tensor) -> Tensor:
    """Resample a map onto another grid; what lies outside the map was not seen by the net and becomes 0.

    Args:
        relevance: Map ``(rows, columns)``.
        affine: ``(4, 4)`` of the map, index (row, column, 0) to mm.
        shape: Rows and columns of the other grid.
        target_affine: ``(4, 4)`` of the other grid.

    Returns:
        float32 ``shape``.

    Raises:
        ValueError: If the map's affine folds an axis to a point.
    """
    plane = [0, 1, 3]  # a film lies in one plane: row, column, and the shift
    source = affine.double()[:2][:, plane]
    if abs(torch.linalg.det(source[:, :2])) < 1e-12:
        raise ValueError("the map's affine folds an axis to a point; the place of the map in the image is unknown")
    target = target_affine.double()[:2][:, plane]
    axes = [torch.arange(size, dtype=torch.float64) for size in shape]
    index = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    position = index @ target[:, :2].T + target[:, 2]
    found = (position - source[:, 2]) @ torch.linalg.inv(source[:, :2]).T
    size = torch.tensor(relevance.shape, dtype=torch.float64)
    inside = ((found >= -0.5) & (found <= size - 0.5)).all(-1)
    grid = ((2 * found + 1) / size - 1).flip(-1).float()
    values = F.grid_sample(relevance.float()[None, None], grid[None], padding_mode="border", align_corners=False)[0, 0]
    return torch.where(inside, values, 0)


def fitted(shape: tuple[int, int], affine: Tensor, longest: int) -> tuple[tuple[int, int], Tensor]:
    """Shape and affine of a grid over the same field whose longer side has ``longest`` pixels."""
    factor = longest / max(shape)
    rows, columns = (max(1, round(size * factor)) for size in shape)
    steps = torch.tensor([shape[0] / rows, shape[1] / columns], dtype=torch.float64)
    change = torch.eye(4, dtype=torch.float64)
    change[0, 0], change[1, 1] = steps
    change[:2, 3] = (steps - 1) / 2  # pixels are areas: their centers move
    return (rows, columns), affine.double() @ change
