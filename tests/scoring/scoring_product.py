"""A small model made by hand, and films."""

import numpy as np
import torch

from medcnn.tasks.build import build
from medcnn.tasks.checkpoint import Product

SIZE = 32


def make_product(**changes: object) -> Product:
    task = {
        "class_path": "medcnn.tasks.classification.ClassificationTask",
        "init_args": {
            "net": {"class_path": "medcnn.nets.resnet.ResNet", "init_args": {"widths": [4, 8], "depths": [1, 1]}},
            "loss": {"class_path": "torch.nn.CrossEntropyLoss", "init_args": {}},
            "classes": ["normal", "effusion"],
        },
    }
    torch.manual_seed(3)
    built = build(task).eval()
    for weight in built.parameters():
        torch.nn.init.normal_(weight, std=0.3)  # no zero weights: the score depends on every pixel
    with torch.no_grad():
        films = torch.stack([torch.from_numpy(film(number).astype("f4")) for number in range(12)])[:, None]
        images = torch.nn.functional.interpolate(films, (SIZE, SIZE), mode="area")
        images = (images - images.amin((1, 2, 3), True)) / (images.amax((1, 2, 3), True) - images.amin((1, 2, 3), True))
        logits = built.net(images)
        spread, mean = logits.std(0), logits.mean(0)
        built.net.classifier.weight /= spread[:, None]  # both classes come up, at unlike probabilities
        built.net.classifier.bias.sub_(mean).div_(spread)
    decision = {
        "temperature": 1.5, "thresholds": {"effusion": 0.4}, "target_sensitivity": 0.95, "chosen_on": "val",
        "cases": 10, "positives": {"effusion": 5}, "sensitivity": {}, "specificity": {}, "reasons": {},
    }  # fmt: skip
    parts = {
        "weights": {name: value.clone() for name, value in built.state_dict().items()},
        "task": task,
        "preprocess": [
            {"class_path": "monai.transforms.Resized",
             "init_args": {"keys": ["image"], "spatial_size": [SIZE, SIZE], "mode": "area"}},
            {"class_path": "monai.transforms.ScaleIntensityd", "init_args": {"keys": ["image"]}},
        ],
        "classes": ("normal", "effusion"),
        "multilabel": False,
        "decision": decision,
        "provenance": {"run_id": "", "medcnn_version": "0", "data_digest": "", "image_shape": [1, SIZE, SIZE]},
    }  # fmt: skip
    return Product(**{**parts, **changes})  # type: ignore[arg-type]


def film(number: int, rows: int = 60, columns: int = 50) -> np.ndarray:
    """A 12-bit film of its own, smooth enough that resizing leaves something of it."""
    field = np.random.default_rng(number).normal(size=(rows, columns)).cumsum(0).cumsum(1)
    return np.round((field - field.min()) / np.ptp(field) * 4095).astype(np.uint16)
