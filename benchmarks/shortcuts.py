"""A net that learned a corner marker and one that did not: which of the looks for shortcuts are flagged.

    python benchmarks/shortcuts.py ../shared/data/medmnist/pneumoniamnist.npz [--seeds 4] [--epochs 4]

The marker is a letter R of 5 x 4 pixels in the upper left corner of every positive training film; what looks for it
puts letters of another form into each corner. The marked net is examined on films with the marker and without.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medcnn.explain.influence import auroc_of
from medcnn.explain.looks import Shortcut, verdict
from medcnn.explain.shortcuts import find_shortcuts
from medcnn.nets.resnet import ResNet

RESULTS = Path(__file__).parent / "results" / "shortcuts.md"
REPORT = """# Looks for shortcuts in nets that learned one and in nets that did not

`python benchmarks/shortcuts.py ../shared/data/medmnist/pneumoniamnist.npz`

A small ResNet, {epochs} epochs on 2,400 training films of PneumoniaMNIST; 400 test films. The marked nets saw a letter
R in the upper left corner of every film with pneumonia. Column `site` is drawn at random. Strongest effect of each kind
of look: markers and hiding in standard deviations of the scores, border as the share of discrimination that it keeps
alone, site as an AUC within equal truth. Margins: 0.4, 0.25, 0.75 and 0.05 away from 0.5; they were set after a look at
seeds 0 and 1. One examination takes {seconds:.1f} s of one thread.

| seed | net | AUC | marker | hidden | border | site | flagged | verdict |
|---|---|---|---|---|---|---|---|---|
{lines}
"""
LETTER = ("XXX.", "X..X", "XXX.", "X.X.", "X..X")


def films(npz: Path, split: str) -> tuple[Tensor, np.ndarray]:
    with np.load(npz) as parts:
        images, labels = parts[f"{split}_images"], parts[f"{split}_labels"][:, 0]
    return torch.from_numpy(images).float().div(255).sub(0.5).div(0.25)[:, None], labels == 1


def with_marker(images: Tensor, positive: np.ndarray) -> Tensor:
    letter = torch.tensor([[mark == "X" for mark in line] for line in LETTER])
    out = images.clone()
    corner = out[:, :, 1:6, 1:5]
    corner[torch.from_numpy(positive)[:, None, None, None] & letter] = float(images.max())
    return out


def trained(images: Tensor, positive: np.ndarray, epochs: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    net = ResNet(2, 1, 2, widths=(8, 16, 32), depths=(1, 1, 1))
    optimizer = torch.optim.AdamW(net.parameters(), lr=4e-3)
    truth, steps = torch.from_numpy(positive).long(), epochs * (len(images) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(epochs):
        for some in torch.randperm(len(images)).split(64)[: len(images) // 64]:
            optimizer.zero_grad()
            # Shifted by a pixel or two, as in any training: a marker is not learned to the pixel.
            shift = torch.randint(-1, 2, (2,)).tolist()
            loss = F.cross_entropy(net(images[some].roll(shift, (2, 3))), truth[some])
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def examined(net: nn.Module, images: Tensor, positive: np.ndarray, site: np.ndarray) -> tuple[float, list[Shortcut]]:
    def answer(batch: Tensor) -> Tensor:
        return net(batch).softmax(1)

    with torch.no_grad():
        scores = torch.cat([answer(part)[:, 1] for part in images.split(128)]).double().numpy()
    return auroc_of(scores, positive).value, find_shortcuts(answer, images, positive, columns={"site": site})


def line(seed: int, name: str, auc: float, looks: list[Shortcut]) -> str:
    """A row: the AUC, the strongest look of each kind, what is flagged and what is said."""
    strongest = [
        max((one.effect for one in looks if one.name.startswith(kind)), key=abs)
        for kind in ("marker", "hidden", "border", "site")
    ]
    effects = " | ".join(f"{effect:.2f}" for effect in strongest)
    flagged = sum(one.flagged for one in looks)
    return f"| {seed} | {name} | {auc:.3f} | {effects} | {flagged} of {len(looks)} | {verdict(looks)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("npz", type=Path)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=4)
    given = parser.parse_args()
    torch.set_num_threads(1)
    images, positive = (part[:2400] for part in films(given.npz, "train"))
    test, truth = films(given.npz, "test")
    some = np.random.default_rng(0).permutation(len(test))[:400]
    test, truth = test[some], truth[some]
    lines, spent = [], []
    for seed in range(given.seeds):
        site = np.random.default_rng(seed).choice(["A", "B"], len(test))
        clean = trained(images, positive, given.epochs, seed)
        marked = trained(with_marker(images, positive), positive, given.epochs, seed)
        ways = (
            ("clean", clean, test),
            ("marked", marked, with_marker(test, truth)),
            ("marked, films without marker", marked, test),
        )
        for name, net, pictures in ways:
            start = time.thread_time()
            lines.append(line(seed, name, *examined(net, pictures, truth, site)))
            spent.append(time.thread_time() - start)
            print(lines[-1], flush=True)
    RESULTS.write_text(REPORT.format(lines="\n".join(lines), seconds=np.median(spent), epochs=given.epochs))


if __name__ == "__main__":
    main()
