"""Whether a map depends on what the net learned: weights are made random from the logits down, and the map must go."""

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import t as student
from torch import Tensor, nn

from medcnn.explain.grad_cam import explain_maps, undisturbed
from medcnn.explain.similarity import rank_correlations, structural_similarities

Array = NDArray[np.float64]
TRAINED = "as trained"
#: A map that still resembles the first this much when every weight is random shows the image, not the model.
ALIKE = 0.5
#: A rise of the mean that is too much to be passed over as noise, however few the draws.
RISE = 0.1


@dataclass(frozen=True, eq=False)
class Step:
    """The maps after the weights of one more block were made random, against those of the trained net.

    Attributes:
        layer: The block; ``as trained`` before the first.
        spearmans: Rank correlation with the first map, float64 ``(draws, cases)``.
        ssims: Structural similarity with the first map, the same shape.
        empty: Maps that were zero everywhere; their similarity counts as 0.
    """

    layer: str
    spearmans: Array
    ssims: Array
    empty: int = 0

    @property
    def spearman(self) -> float:
        """Mean over draws and cases; NaN where no case had a map to begin with."""
        return float(self.spearmans.mean()) if self.spearmans.size else math.nan

    @property
    def ssim(self) -> float:
        """Mean over draws and cases; NaN where no case had a map to begin with."""
        return float(self.ssims.mean()) if self.ssims.size else math.nan


class Verdict(NamedTuple):
    """What the steps say.

    Attributes:
        falls: Whether the last similarity, and its 95 % upper bound over draws, is below ``ALIKE``.
        monotone: Whether no step stands above an earlier one by more than noise; False where that cannot be told, too.
        rise: By how much a mean stands above the lowest before it, at most; 0 where the means never rise.
        sentence: All of it in words, with the rule.
    """

    falls: bool
    monotone: bool
    rise: float
    sentence: str


def randomized_similarity(
    net: nn.Module, images: Tensor, index: Tensor, seed: int = 0, depth: int | None = 2, draws: int = 10
) -> list[Step]:
    """Grad-CAM of nets whose blocks are made random one after the other, from the logits down.

    Each layer is set as before its training, by its own ``reset_parameters``, normalization included; parameters of
    layers without one are drawn from a normal distribution of their own mean and spread. Cases without a map in the
    trained net are left out: nothing could get lost there. Works on a copy; the net and the global generators stay
    as they were.

    Args:
        net: Images ``(B, C, *spatial)`` to logits ``(B, K)``.
        images: Images, on the device of the net.
        index: Class of interest for each image, int64 ``(B,)``.
        seed: The same seed draws the same weights.
        depth: Layers whose names share this many first parts are one step, as ``features.3``; None: each its own.
        draws: How often the whole cascade is drawn. One draw is chance: a random last layer speaks for or against.

    Returns:
        The trained net first, then a step a block.

    Raises:
        ValueError: If the net has no map of positions, or nothing to make random.

    References:
        Adebayo et al., 2018, arXiv:1810.03292 (cascading randomization)
    """
    first = explain_maps(net, images, index)
    seen = first.maps.flatten(1).any(1)
    blocks = blocks_from_the_logits(net, images[:1], depth)
    found = np.zeros((2, len(blocks), draws, int(seen.sum())))
    empty = np.zeros(len(blocks), int)
    if seen.any():
        images, index, maps = images[seen], index.to(seen.device)[seen], first.maps[seen]
        with _own_chance(net, seed):
            for draw in range(draws):
                for step, changed in enumerate(_cascade(net, list(blocks.values()))):
                    now = explain_maps(changed, images, index).maps
                    found[0, step, draw] = rank_correlations(maps, now)
                    found[1, step, draw] = structural_similarities(maps, now)
                    empty[step] += int((~now.flatten(1).any(1)).sum())
    same = np.ones((draws, int(seen.sum())))
    return [Step(TRAINED, same, same)] + [
        Step(name, found[0, step], found[1, step], int(empty[step])) for step, name in enumerate(blocks)
    ]


def randomized_maps(
    net: nn.Module, images: Tensor, index: Tensor, seed: int = 0, depth: int | None = 2
) -> dict[str, Tensor]:
    """The maps ``(B, *spatial)`` themselves after each step of the first draw, by block; the trained net's first.

    Takes and raises what ``randomized_similarity`` does.
    """
    maps = {TRAINED: explain_maps(net, images, index).maps}
    blocks = blocks_from_the_logits(net, images[:1], depth)
    with _own_chance(net, seed):
        for name, changed in zip(blocks, _cascade(net, list(blocks.values())), strict=True):
            maps[name] = explain_maps(changed, images, index).maps
    return maps


def verdict(steps: Sequence[Step]) -> Verdict:
    """Whether the similarity falls, and whether it does so at every step.

    It falls where at the last step the mean rank correlation and its one-sided 95 % upper bound over draws lie below
    ``ALIKE``. It is monotone where no step stands above any earlier one by more than noise: by a one-sided t test
    paired over draws at 5 % divided by the number of pairs. Where the noise is such that a rise of more than ``RISE``
    would pass for it, monotony cannot be told, and the sentence says so.
    """
    if not steps[-1].spearmans.size:
        return Verdict(False, False, math.nan, "cannot be told: the trained net has no map in any of these cases")
    means = np.array([step.spearman for step in steps])
    rise = float((means - np.minimum.accumulate(means)).max())
    by_draw = np.stack([step.spearmans.mean(axis=1) for step in steps])
    pairs = [(early, late) for late in range(len(steps)) for early in range(1, late)]
    bounds = [_lower_bound(by_draw[late] - by_draw[early], 0.05 / len(pairs)) for early, late in pairs]
    rises = any(bound > 0 for bound in bounds)
    upper = -_lower_bound(-by_draw[-1], 0.05)
    falls = bool(max(means[-1], upper if math.isfinite(upper) else means[-1]) < ALIKE)
    return Verdict(falls, rise <= RISE and not rises, rise, _sentence(steps, falls, rises, rise))


def steps_table(steps: Sequence[Step]) -> pd.DataFrame:
    """One row a step: step, layer, means, their spread over cases and over draws, empty maps, maps."""
    return pd.DataFrame(
        {
            "step": number,
            "layer": step.layer,
            "spearman": step.spearman,
            "ssim": step.ssim,
            "spearman_spread_cases": _spread(step.spearmans.mean(axis=0)),
            "spearman_spread_draws": _spread(step.spearmans.mean(axis=1)) if step.spearmans.size else math.nan,
            "empty": step.empty,
            "maps": step.spearmans.size,
        }
        for number, step in enumerate(steps)
    )


def blocks_from_the_logits(net: nn.Module, image: Tensor, depth: int | None = 2) -> dict[str, list[str]]:
    """The layers with weights that took part in a forward pass, the last first, by block.

    Args:
        net: Images to logits.
        image: Any image ``(1, C, *spatial)``.
        depth: As in ``randomized_similarity``.

    Raises:
        ValueError: If no layer has weights.
    """
    called: dict[str, None] = {}
    with undisturbed(net) as stack:
        for name, module in net.named_modules():
            if _is_random_at_birth(module):

                def note(_: nn.Module, __: Any, ___: Any, name: str = name) -> None:
                    called.pop(name, None)  # called again: its last place counts
                    called[name] = None

                stack.callback(module.register_forward_hook(note).remove)
        net(image.detach().as_subclass(Tensor).clone())
    if not called:
        raise ValueError(f"{type(net).__name__} has no layer with weights; there is nothing to make random")
    blocks: dict[str, list[str]] = {}
    shared = _shared_parts(list(called))
    for name in reversed(called):
        parts = name.split(".")
        blocks.setdefault(".".join(parts[: None if depth is None else shared + depth]), []).append(name)
    return blocks


def _shared_parts(names: list[str]) -> int:
    """How many first parts of their names all layers share, as inside a wrapper."""
    parts = [name.split(".")[:-1] for name in names]
    return next((n for n in range(min(map(len, parts)), 0, -1) if len({tuple(one[:n]) for one in parts}) == 1), 0)


def _is_random_at_birth(module: nn.Module) -> bool:
    return any(True for _ in module.parameters(recurse=False)) or (
        hasattr(module, "reset_parameters") and any(True for _ in module.buffers(recurse=False))
    )


def _cascade(net: nn.Module, blocks: list[list[str]]) -> Iterator[nn.Module]:
    """One copy of the net, a block more of it random each time."""
    with torch.inference_mode(False), torch.no_grad():
        changed = copy.deepcopy(net).eval()
    for block in blocks:
        with torch.inference_mode(False), torch.no_grad():
            for name in block:
                _make_random(changed.get_submodule(name))
        yield changed


def _make_random(module: nn.Module) -> None:
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        reset()
        return
    for parameter in module.parameters(recurse=False):
        spread = float(parameter.std()) if parameter.numel() > 1 else 0.0
        parameter.normal_(float(parameter.mean()), spread)


@contextmanager
def _own_chance(net: nn.Module, seed: int) -> Iterator[None]:
    """``reset_parameters`` draws from the global generators: they are seeded, and afterwards as they were."""
    devices = sorted({value.device.index or 0 for value in net.parameters() if value.device.type == "cuda"})
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def _lower_bound(differences: Array, alpha: float) -> float:
    """One-sided lower bound of a mean over draws by Student's t; minus infinity for a single draw."""
    n = len(differences)
    if n < 2:
        return -math.inf
    return float(differences.mean() - student.isf(alpha, n - 1) * differences.std(ddof=1) / math.sqrt(n))


def _spread(values: Array) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan


def _sentence(steps: Sequence[Step], falls: bool, rises: bool, rise: float) -> str:
    draws, cases = steps[-1].spearmans.shape
    few = f"{cases} {'case' if cases == 1 else 'cases'}, {draws} {'draw' if draws == 1 else 'draws'}"
    head = (
        f"with all weights random the map keeps a rank correlation of {steps[-1].spearman:.2f} with the first "
        f"(SSIM {steps[-1].ssim:.2f}; {few})"
    )
    told = "it depends on what was learned" if falls else "it shows the image more than what was learned"
    if rises:
        path = f"does not fall at every step: the greatest rise is {rise:.2f}, more than chance"
    elif rise > RISE:
        path = f"comes back by {rise:.2f} on the way, which may be chance in {few}"
    else:
        path = f"never rises by more than chance ({rise:.2f} at most)"
    maps, empty = (len(steps) - 1) * draws * cases, sum(step.empty for step in steps[1:])
    none = f"; {empty} of {maps} maps were empty, which counts as no likeness" if empty else ""
    return f"{head}: {told}; the similarity {path}{none}"
