"""Whether maps of relevance deserve to be looked at: random weights, planted squares, and a second method.

    python benchmarks/explain_checks.py --model CHECKPOINT [--source ../shared/data/chest_xray]

``--model`` is what ``medcnn fit --config configs/experiment/chest_xray.yaml`` left. Films of its test split are
explained, none of which it was trained on. The report is printed and written to
``benchmarks/results/explain_checks.md``.
"""

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor, nn

from medcnn.data.xray import ChestXrayDataModule
from medcnn.explain.grad_cam import explain_maps
from medcnn.explain.occlusion import occlusion_maps, occlusion_window
from medcnn.explain.pointing import plant, pointing, random_corners
from medcnn.explain.randomization import randomized_similarity, steps_table, verdict
from medcnn.explain.similarity import rank_correlations
from medcnn.metrics.rates import share
from medcnn.nets.resnet import ResNet
from medcnn.scoring.scorer import Scorer

RESULTS = Path(__file__).parent / "results" / "explain_checks.md"
CONFIG = Path(__file__).parents[1] / "configs" / "data" / "chest_xray.yaml"


class Films(NamedTuple):
    """Prepared films ``(n, 1, rows, columns)`` of one split, and their labels."""

    images: Tensor
    labels: Tensor


def films_of(scorer: Scorer, source: Path) -> dict[str, Films]:
    """Training and test films as the model saw them; refused where its split was another."""
    given = yaml.safe_load(CONFIG.read_text("utf-8"))["init_args"]
    module = ChestXrayDataModule(
        source=str(source),
        patient=given["patient"],
        fractions=given["fractions"],
        preprocess=scorer.transforms,
        workers=1,
    )
    module.setup("fit")
    cases, trained_on = module.cases, set(scorer.product.provenance["trained_on"])
    if set(np.asarray(module.seen_names)[(cases["split"] == "train").to_numpy()]) != trained_on:
        raise SystemExit("the model was trained on another split than the configuration gives: fit it again")
    loaders = {"train": module.train_dataloader(), "test": module.test_dataloader()}
    found = {}
    for split, loader in loaders.items():
        batches = list(loader)
        found[split] = Films(
            torch.cat([batch["image"].float() for batch in batches]), torch.cat([batch["label"] for batch in batches])
        )
    return found


def with_squares(images: Tensor, size: int, value: float, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Every second image gets a square: images, labels, masks."""
    corners = random_corners(len(images), images.shape[2:], size, torch.Generator().manual_seed(seed))
    planted = plant(images, size, corners, value)
    labels = torch.arange(len(images)) % 2
    held = labels.view(-1, *[1] * (images.ndim - 2)).bool()
    return torch.where(held[:, None], planted.images, images), labels, planted.masks & held


def noise(dims: int, count: int, side: int, seed: int) -> Tensor:
    return torch.rand(count, 1, *[side] * dims, generator=torch.Generator().manual_seed(seed)) - 0.5


class Game(NamedTuple):
    """A net to be trained to find squares, and the images it is held to."""

    name: str
    train: Tensor
    held_out: Tensor
    size: int
    value: float
    widths: tuple[int, ...]
    steps: int


def trained(game: Game) -> nn.Module:
    torch.manual_seed(0)
    net = ResNet(spatial_dims=game.train.ndim - 2, widths=game.widths, depths=[1] * len(game.widths))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=game.steps)
    generator = torch.Generator().manual_seed(1)
    for step in range(game.steps):
        rows = torch.randint(0, len(game.train), (32,), generator=generator)
        images, labels, _ = with_squares(game.train[rows], game.size, game.value, seed=1000 + step)
        loss = F.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net.eval()


def play(game: Game) -> str:
    start = time.thread_time()
    net = trained(game)
    spent = time.thread_time() - start
    images, labels, masks = with_squares(game.held_out, game.size, game.value, seed=7)
    with torch.no_grad():
        right = (net(images).argmax(1) == labels).numpy()
    images, masks = images[labels == 1], masks[labels == 1]
    index = torch.ones(len(images), dtype=torch.int64)
    maps = explain_maps(net, images, index).maps
    cell = 2 ** (len(game.widths) - 1)
    strict, near = pointing(maps, masks), pointing(maps, masks, tolerance=cell / 2)
    few = slice(0, 24)
    hidden = occlusion_maps(net, images[few], index[few], game.size // 2, max(1, game.size // 4)).relu()
    second = pointing(hidden, masks[few], tolerance=cell / 2)
    return (
        f"| {game.name} | {right.mean():.3f} | {len(images)} | {told(strict.hits)} | {told(near.hits)} ({cell / 2:g}) "
        f"| {near.area.mean():.1%} | {np.nanmean(strict.energy):.2f} ({masks.double().mean():.2f}) "
        f"| {told(second.hits)} | {rank_correlations(maps[few], hidden).mean():.2f} | {spent:.0f} s |"
    )


def told(hits: np.ndarray) -> str:
    found = share(hits)
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def games(films: dict[str, Films]) -> list[Game]:
    """Squares in noise, in volumes of noise, and in films without pneumonia."""
    normal = {split: F.avg_pool2d(part.images[part.labels == 0], 2) for split, part in films.items()}
    return [
        Game("noise, 32 x 32, square of 8", noise(2, 2000, 32, 1), noise(2, 600, 32, 2), 8, 0.5, (8, 16), 60),
        Game("noise, 32 x 32, square of 8, one stage more", noise(2, 2000, 32, 1), noise(2, 600, 32, 2), 8, 0.5,
             (8, 16, 32), 60),
        Game("noise, 16 x 16 x 16, cube of 6", noise(3, 600, 16, 3), noise(3, 400, 16, 4), 6, 0.5, (8, 16), 60),
        Game("films, 56 x 56, square of 12", normal["train"], normal["test"].repeat(2, 1, 1, 1)[:260], 12, 1.0,
             (8, 16, 32), 120),
    ]  # fmt: skip


def cascade(scorer: Scorer, images: Tensor, depth: int | None, draws: int) -> list[str]:
    index = torch.ones(len(images), dtype=torch.int64)
    steps = randomized_similarity(scorer.task.net, images, index, draws=draws, depth=depth)
    lines = [
        "| step | made random | rank correlation | spread: cases | spread: draws | SSIM | empty maps |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.step} | {row.layer} | {row.spearman:.3f} | {row.spearman_spread_cases:.3f} "
        f"| {row.spearman_spread_draws:.3f} | {row.ssim:.3f} | {row.empty} of {row.maps} |"
        for row in steps_table(steps).itertuples()
    ]
    found = verdict(steps)
    means = [step.spearman for step in steps]
    lowest = int(np.argmin(means))
    return [
        *lines,
        "",
        f"Falls: {found.falls}. Monotone: {found.monotone}. {found.sentence[0].upper()}{found.sentence[1:]}.",
        f"Lowest at step {lowest} ({means[lowest]:.3f}).",
    ]


def second_opinion(scorer: Scorer, images: Tensor) -> list[str]:
    index = torch.ones(len(images), dtype=torch.int64)
    maps = explain_maps(scorer.task.net, images, index).maps
    window = occlusion_window(images.shape[2:])
    hidden = occlusion_maps(scorer.task.net, images, index, window).relu()
    found = rank_correlations(maps, hidden)
    return [
        f"Grad-CAM and occlusion ({window} pixels, mean fill) on {len(images)} films: rank correlation",
        f"{found.mean():.2f} on average, from {found.min():.2f} to {found.max():.2f}.",
    ]


def report(scorer: Scorer, films: dict[str, Films]) -> list[str]:
    test = films["test"]
    positive = test.images[test.labels == 1]
    positive = positive[torch.from_numpy(np.random.default_rng(0).choice(len(positive), 64, replace=False))]
    return [
        "`python benchmarks/explain_checks.py --model CHECKPOINT`, one thread; films of the test split, whose",
        "patients the model never saw. Intervals are Wilson's at 95 %.",
        "",
        "## Weights made random, from the logits down, block by block",
        "64 films with pneumonia, 40 draws of all weights; Grad-CAM for pneumonia. Monotone: no step stands above an",
        "earlier one by more than chance (t test paired over draws, 5 % over all pairs), nor by more than 0.1.",
        "",
        *cascade(scorer, positive, 2, 40),
        "",
        "## The same, layer by layer",
        "32 of these films, 10 draws. A layer alone leaves its block half trained: a block is the smaller step that",
        "means something, which is why blocks are the default.",
        "",
        *cascade(scorer, positive[:32], None, 10),
        "",
        "## The pointing game on planted squares",
        "A small net learns to tell images with a square from images without. Hits are counted in held-out images with",
        "one; the tolerance beside the second figure is half a cell of the map, in pixels. Chance is the share of the",
        "image that counts as a hit with it. Energy is the share of the map inside, beside the share of the image.",
        "",
        "| images | accuracy | n | hits inside | near | chance | energy | occlusion hits | agreement | time |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(play(game) for game in games(films)),
        "",
        "## A second opinion on the chest model",
        *second_opinion(scorer, positive[:24]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--source", type=Path, default=Path("../shared/data/chest_xray"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    scorer = Scorer.from_path(given.model)
    text = "\n".join(report(scorer, films_of(scorer, given.source))) + "\n"
    RESULTS.write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
