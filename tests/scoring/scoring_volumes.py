"""A small model of volumes made by hand, and volumes."""

import numpy as np
import torch

from medcnn.tasks.build import build
from medcnn.tasks.checkpoint import Product

SIZE = 12


def make_volume_product(**changes: object) -> Product:
    """Random weights, so that the score depends on every voxel; volumes are resized to a cube."""
    net = {"class_path": "medcnn.nets.resnet.ResNet",
           "init_args": {"spatial_dims": 3, "widths": [4, 8], "depths": [1, 1]}}  # fmt: skip
    task = {
        "class_path": "medcnn.tasks.classification.ClassificationTask",
        "init_args": {
            "net": net,
            "loss": {"class_path": "torch.nn.CrossEntropyLoss", "init_args": {}},
            "classes": ["small", "large"],
        },
    }
    torch.manual_seed(5)
    built = build(task).eval()
    for weight in built.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    resize = {"keys": ["image"], "spatial_size": [SIZE] * 3, "mode": "area"}
    parts = {
        "weights": {name: value.clone() for name, value in built.state_dict().items()},
        "task": task,
        "preprocess": [
            {"class_path": "monai.transforms.Orientationd",
             "init_args": {"keys": ["image"], "axcodes": "RAS", "labels": None}},
            {"class_path": "monai.transforms.Resized", "init_args": resize},
            {"class_path": "monai.transforms.ScaleIntensityd", "init_args": {"keys": ["image"]}},
        ],
        "classes": ("small", "large"),
        "multilabel": False,
        "decision": None,
        "provenance": {"run_id": "", "medcnn_version": "0", "data_digest": "", "image_shape": [1, SIZE, SIZE, SIZE]},
    }  # fmt: skip
    return Product(**{**parts, **changes})  # type: ignore[arg-type]


def volume(number: int, shape: tuple[int, int, int] = (9, 14, 11)) -> np.ndarray:
    """A 12-bit volume of its own, smooth enough that resizing leaves something of it."""
    field = np.random.default_rng(number).normal(size=shape).cumsum(0).cumsum(1).cumsum(2)
    return np.round((field - field.min()) / np.ptp(field) * 4095).astype(np.int16)
