"""An oblique affine on an unequal grid: the identity hides every mistake about place."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation


@pytest.fixture(scope="session")
def oblique_affine() -> torch.Tensor:
    """Spacing 0.8, 1.5 and 3 mm, turned about all three axes, away from the origin."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix() @ np.diag([0.8, 1.5, 3.0])
    affine[:3, 3] = [-40.0, 25.5, 110.0]
    return torch.from_numpy(affine)
