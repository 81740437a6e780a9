"""One image has one probability, whatever it is given with and on however many threads."""

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import torch
from medcnn.nets.resnet import ResNet
from medcnn.tasks.classification import ClassificationTask

torch.manual_seed(0)
task = ClassificationTask(ResNet(widths=[16, 32], depths=[1, 1]), torch.nn.CrossEntropyLoss(), ["no", "yes"]).eval()
for weight in task.parameters():
    torch.nn.init.normal_(weight, std=0.2)
images = torch.randn(19, 1, 40, 36)
alike = []
with torch.inference_mode():
    whole = task.answer(images)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for size in (1, 2, 7, 16, 19):
            alike.append(torch.equal(torch.cat([task.answer(part) for part in images.split(size)]), whole))
        alike.append(torch.equal(task.answer(images.flip(0)).flip(0), whole))
        alike.append(torch.equal(task.predict_step({"image": images, "case": 0}, 0)["probabilities"], whole))
print(all(alike), *(f"{value:.6f}" for value in whole[:, 1].tolist()))
"""

ON_X86 = platform.machine().lower() in ("x86_64", "amd64")
SETTINGS = [{}, {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}, {"ATEN_CPU_CAPABILITY": "default"}]


@pytest.mark.parametrize(
    "setting", SETTINGS if ON_X86 else SETTINGS[:1], ids=lambda one: "-".join(one.values()) or "own"
)
def test_an_image_has_one_probability(setting: dict[str, str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS[1]} | setting
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=environment)
    alike, *probabilities = done.stdout.split()
    assert alike == "True"
    assert len(set(probabilities)) > 10  # it depends on the image
