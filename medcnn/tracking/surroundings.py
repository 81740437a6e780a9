"""Where and with what a run was made: code, libraries and machine, without naming anybody."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytorch_lightning as pl
import torch

import medcnn

#: Whose versions decide what a training gives.
PACKAGES = (
    "torch", "pytorch-lightning", "monai", "torchmetrics", "mlflow", "numpy", "scipy", "scikit-learn", "scikit-image",
    "pydicom", "pandas",
)  # fmt: skip


def describe_code() -> dict[str, str]:
    """The version of medcnn, and the commit of its checkout with whether it was changed, where it is one."""
    commit = _git("rev-parse", "HEAD")
    found = {"medcnn.version": medcnn.__version__}
    if commit:
        found |= {"git.commit": commit, "git.dirty": str(bool(_git("status", "--porcelain", "-uno"))).lower()}
    return found


def describe_packages() -> dict[str, str]:
    """The version of every library that takes part."""
    found = {}
    for name in PACKAGES:
        try:
            found[f"package.{name}"] = version(name)
        except PackageNotFoundError:
            found[f"package.{name}"] = "not installed"
    return found


def describe_machine(trainer: pl.Trainer) -> dict[str, str]:
    """Device, processes, cores, precision and seed of a training."""
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "device": f"{device.type} ({name})",
        "device.processes": str(trainer.world_size),
        "device.precision": str(trainer.precision),
        "cpu.count": str(os.cpu_count()),
        "cpu.threads": str(torch.get_num_threads()),
        "python.version": platform.python_version(),
        "system": platform.system(),
        "seed": os.environ.get("PL_GLOBAL_SEED", "none"),
    }


def _git(*words: str) -> str:
    """What git says of medcnn's own checkout, "" where there is none: never of the folder a user works in."""
    package = Path(medcnn.__file__).resolve().parent
    if not (package.parent / ".git").exists():
        return ""
    try:
        said = subprocess.run(
            ["git", "-C", str(package), *words], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):  # no git, or not a repository it trusts
        return ""
    return said.stdout.strip()
