"""Every shipped segmentation net is built from its config, and answers for each voxel of a whole image."""

from pathlib import Path

import pytest
import torch
import yaml

from medcnn.tasks.build import build
from medcnn.tasks.segmentation import SegmentationTask

MODELS = Path(__file__).parents[2] / "configs" / "model"
RECIPES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(MODELS.glob("*.yaml"))}
SEGMENTATIONS = [name for name, recipe in RECIPES.items() if recipe["class_path"].endswith("SegmentationTask")]


@pytest.mark.parametrize("name", SEGMENTATIONS)
def test_a_shipped_net_learns_from_a_patch_and_answers_for_a_whole_image(name: str) -> None:
    # Swin UNETR halves five times, and its norms need more than one voxel at the bottom.
    patch = (64, 32, 32) if name == "swinunetr" else (32, 32, 32)
    arguments = RECIPES[name]["init_args"]
    wanted = {"net": arguments["net"], "loss": arguments["loss"], "classes": ["background", "a", "b"]}
    task = build({"class_path": RECIPES[name]["class_path"], "init_args": wanted | {"patch_size": list(patch)}})
    assert isinstance(task, SegmentationTask)
    task.loss(task(torch.randn(2, 1, *patch)), torch.randint(0, 3, (2, *patch))).backward()
    assert all(p.grad is not None for p in task.parameters())
    with torch.no_grad():
        shares = task.eval().predict(torch.randn(1, 1, 20, 32, 27))
    assert shares.shape == (3, 20, 32, 27)
    torch.testing.assert_close(shares.sum(dim=0), torch.ones(20, 32, 27))
