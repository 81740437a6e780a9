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
    built = build(task)
    for weight in built.parameters():
        torch.nn.init.normal_(weight, std=0.5)  # no zero weights: the score depends on every pixel
    with torch.no_grad():
        images = torch.stack([torch.from_numpy(film(n, SIZE, SIZE).astype("f4")) / 4095 for n in range(12)])[:, None]
        logits = built.net(images)
        built.net.classifier.weight /= logits.std()  # both classes come up, at unlike probabilities
        built.net.classifier.bias -= logits.mean(0) / logits.std()
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
    """A 12-bit film of its own, smooth enough to be told from noise."""
    chance = np.random.default_rng(number)
    return np.cumsum(chance.integers(0, 60, (rows, columns)), axis=1).clip(0, 4095).astype(np.uint16)
