"""A segmentation model whose answer is arithmetic: class 1 from 100 on, class 2 from 200 on; and volumes for it."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from medcnn.io.volume import Volume
from medcnn.scoring.source import read_listed
from medcnn.tasks.checkpoint import Product

CLASSES = ("background", "shell", "core")
SHAPE = (22, 18, 12)


def make_product(preprocess: tuple[dict[str, Any], ...] = (), **changes: Any) -> Product:
    net = torch.nn.Conv3d(1, 3, 1)
    with torch.no_grad():
        # Lines of slope 0, 1 and 2 that cross at 100 and at 200.
        net.weight[:] = torch.tensor([0.0, 1.0, 2.0]).view(3, 1, 1, 1, 1)
        net.bias[:] = torch.tensor([0.0, -100.0, -300.0])
    parts: dict[str, Any] = {
        "weights": {f"net.{name}": value.clone() for name, value in net.state_dict().items()},
        "task": {
            "class_path": "medcnn.tasks.segmentation.SegmentationTask",
            "init_args": {
                "net": {"class_path": "torch.nn.Conv3d",
                        "init_args": {"in_channels": 1, "out_channels": 3, "kernel_size": 1}},
                "loss": {"class_path": "torch.nn.CrossEntropyLoss", "init_args": {}},
                "classes": list(CLASSES),
            },
        },
        "preprocess": list(preprocess),
        "classes": CLASSES,
        "multilabel": False,
        "decision": None,
        "provenance": {"run_id": "", "medcnn_version": "0", "data_digest": "", "image_shape": [1, *SHAPE],
                       "per_voxel": True},
    }  # fmt: skip
    return Product(**parts | changes)


def oblique() -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix() @ np.diag([0.9, 1.3, 2.0])
    affine[:3, 3] = [-40.0, 25.5, 110.0]
    return affine


def ball(number: int) -> np.ndarray:
    """A core in a shell on dark ground, somewhere, in mm; int16."""
    spacing = np.array([0.9, 1.3, 2.0])
    place = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1) * spacing
    center = np.array([9.0, 11.0, 12.0]) + np.random.default_rng(number).uniform(-1, 1, 3)
    return np.clip(320 - 35 * np.linalg.norm(place - center, axis=-1), 0, 300).round().astype(np.int16)


def truth(voxels: np.ndarray) -> np.ndarray:
    return (voxels > 100).astype(np.uint8) + (voxels > 200)


def read_or_end(item: Any) -> Volume:
    """A reader that a certain file kills, as a codec's fault would."""
    if isinstance(item, Path) and item.name.startswith("deadly"):
        import os

        os.kill(os.getpid(), 11)
    return read_listed(item)
