"""The number type a training computes in: chosen by what the processor or the device is faster in, as measured."""

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

AUTO, FLOAT32, BFLOAT16, FLOAT16 = "auto", "32-true", "bf16-mixed", "16-mixed"
#: How many times faster bfloat16 has to be before it is used: below that, float32 costs little and is exact.
WORTH = 1.1
#: Set for the processes of one training: two that measure for themselves could choose differently.
CHOSEN = "MEDCNN_PRECISION"
_REPEATS = 3
_LAUNCHED = ("WORLD_SIZE", "SLURM_NTASKS")


class Precision(NamedTuple):
    """A number type and why it was chosen.

    Attributes:
        name: As Lightning's ``precision``.
        reason: End of the line that a user reads; "" where it was given.
    """

    name: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})" if self.reason else self.name


def choose_precision(
    accelerator: str, dimensions: int = 2, measure: Callable[[torch.dtype, int], float] | None = None
) -> Precision:
    """The number type for a training on this machine.

    On a GPU bfloat16 where it computes in it, float16 otherwise. On a CPU whichever is faster: a training step of a
    few convolutions is timed in both, which takes about a second where bfloat16 is emulated. Processes that another
    program launched do not measure, for they have to agree: there the instruction set decides.

    Args:
        accelerator: As Lightning's: "cpu", "gpu", "cuda", "mps" or "auto".
        dimensions: Of the images, 2 or 3.
        measure: Seconds of a step in a number type; ``time_step`` by default.
    """
    device = _device_of(accelerator)
    if device == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return (
            Precision(BFLOAT16, "the GPU computes in it") if native else Precision(FLOAT16, "the GPU has no bfloat16")
        )
    if device != "cpu":
        return Precision(FLOAT32, f"mixed precision is not used on {device}")
    agreed = os.environ.get(CHOSEN, "").split("|")
    if len(agreed) == 3 and agreed[0] == str(dimensions):
        return Precision(*agreed[1:])
    chosen = _by_instructions() if _launched() else _by_time(dimensions, measure or time_step)
    os.environ[CHOSEN] = f"{dimensions}|{chosen.name}|{chosen.reason}"
    return chosen


def time_step(dtype: torch.dtype, dimensions: int = 2) -> float:
    """Seconds of a training step of two convolutions, the fastest of three after one to warm up.

    Args:
        dtype: float32, or the type to which autocast takes the convolutions.
        dimensions: 2 or 3.
    """
    net, images = _probe(dimensions)
    seconds = []
    for _ in range(1 + _REPEATS):
        start = time.perf_counter()
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            loss = net(images).float().square().mean()
        loss.backward()
        seconds.append(time.perf_counter() - start)
        if seconds[-1] > 1:  # so slow that nothing is left to find out
            break
    return min(seconds[1:] or seconds)


def _probe(dimensions: int) -> tuple[nn.Module, torch.Tensor]:
    """A stem and a stage of a small residual net, and a batch for it, in the memory format that is fastest."""
    convolution: type[nn.Conv2d] | type[nn.Conv3d] = nn.Conv3d if dimensions == 3 else nn.Conv2d
    layout: Any = torch.channels_last_3d if dimensions == 3 else torch.channels_last
    size = (4, 16, *(16,) * 3) if dimensions == 3 else (16, 16, 56, 56)
    with torch.random.fork_rng(devices=[]):  # the seed of the training stays as it was
        net: Any = nn.Sequential(
            convolution(16, 32, 3, padding=1, bias=False), nn.ReLU(), convolution(32, 32, 3, padding=1, bias=False)
        )
        images = torch.randn(size)
    return net.to(memory_format=layout), images.contiguous(memory_format=layout)


def _by_time(dimensions: int, measure: Callable[[torch.dtype, int], float]) -> Precision:
    # Alternately and twice each: what else the machine does should not meet one of them alone.
    types = (torch.float32, torch.bfloat16)
    full, half = (
        min(times) for times in zip(*([measure(t, dimensions) for t in types] for _ in range(2)), strict=True)
    )
    ratio = full / half
    if ratio >= WORTH:
        return Precision(BFLOAT16, f"{ratio:.1f} times faster than float32 on this processor")
    if ratio < 1:
        return Precision(FLOAT32, f"bf16 is {1 / ratio:.1f} times slower on this processor")
    return Precision(FLOAT32, f"bf16 is only {ratio:.1f} times faster on this processor")


def _by_instructions() -> Precision:
    supports = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    if any(ask is not None and ask() for ask in supports):
        return Precision(BFLOAT16, "the processor computes in it; not measured")
    return Precision(FLOAT32, "the processor has no bfloat16; not measured")


def _launched() -> bool:
    return any(os.environ.get(name, "1") not in ("", "1") for name in _LAUNCHED)


def _device_of(accelerator: str) -> str:
    if accelerator in ("gpu", "cuda", "auto") and torch.cuda.is_available():
        return "cuda"
    if accelerator in ("gpu", "mps", "auto") and torch.backends.mps.is_available():
        return "mps"
    return accelerator if accelerator not in ("gpu", "cuda", "mps", "auto") else "cpu"
