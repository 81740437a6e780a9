"""Seconds of a training step of the chest experiment in float32 and in bfloat16, and what ``precision: auto`` chooses.

    python benchmarks/precision.py [--threads 1] [--batch 64]

The step is that of the shipped experiment: its net, loss, optimizer and batch size, on random images of its size. It is
timed on this processor as it is, and once more with the instruction sets above AVX2 switched off for torch and oneDNN,
as a processor without bfloat16 computes. Each row is a process of its own: the switches are read at the start.
"""

import argparse
import json
import os
import subprocess
import sys
import time

import torch
import yaml

from medcnn.cli.configs import configs_folder
from medcnn.tasks.build import build
from medcnn.tasks.optimization import parameter_groups
from medcnn.tasks.precision import CHOSEN, choose_precision

WITHOUT = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
REPEATS = 3


def measured(threads: int, batch: int) -> dict[str, object]:
    """Seconds of a step in both types, the fastest of three after one to warm up, and the choice."""
    torch.set_num_threads(threads)
    model = yaml.safe_load((configs_folder() / "model" / "resnet.yaml").read_text())["init_args"]
    data = yaml.safe_load((configs_folder() / "data" / "chest_xray.yaml").read_text())["init_args"]
    size = next(step["init_args"]["spatial_size"] for step in data["preprocess"] if "spatial_size" in str(step))
    torch.manual_seed(0)
    images, labels = torch.rand(batch, 1, *size), torch.arange(batch) % 2
    found: dict[str, object] = {}
    for name in ("float32", "bfloat16"):
        net, loss = build(model["net"]), build(model["loss"])
        loss.set_counts(torch.ones(2))
        optimizer = torch.optim.AdamW(parameter_groups(net))
        seconds = []
        for _ in range(1 + REPEATS):
            start = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=name == "bfloat16"):
                value = loss(net(images), labels)
            value.backward()
            optimizer.step()
            optimizer.zero_grad()
            seconds.append(time.perf_counter() - start)
        found[name] = min(seconds[1:])
    os.environ.pop(CHOSEN, None)
    start = time.perf_counter()
    found |= {"auto": str(choose_precision("cpu")), "choosing": time.perf_counter() - start}
    return found


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--threads", type=int, default=1)
    asked.add_argument("--batch", type=int, default=64)
    asked.add_argument("--row", action="store_true", help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.row:
        print(json.dumps(measured(given.threads, given.batch)))
        return
    print(f"One step on {given.batch} images, {given.threads} thread(s), torch {torch.__version__}.\n")
    print("| processor | float32 s | bfloat16 s | bfloat16 / float32 | `precision: auto` | choosing s |")
    print("|---|---|---|---|---|---|")
    words = [sys.executable, __file__, "--row", "--threads", str(given.threads), "--batch", str(given.batch)]
    for name, switches in (("as it is", {}), ("AVX2 alone", WITHOUT)):
        done = subprocess.run(words, env=os.environ | switches, capture_output=True, text=True, check=True)
        row = json.loads(done.stdout.splitlines()[-1])
        ratio = row["bfloat16"] / row["float32"]
        print(
            f"| {name} | {row['float32']:.2f} | {row['bfloat16']:.2f} | {ratio:.2f} | {row['auto']} "
            f"| {row['choosing']:.1f} |"
        )


if __name__ == "__main__":
    main()
