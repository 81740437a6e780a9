"""``medcnn score`` as a user runs it against the plain loop: MONAI LoadImage, Resize, the same steps, the same net.

    python benchmarks/score.py [--films 1000] [--size 2048] [--work FOLDER]

Both sides read the same files in one run, the loop first on a part of them (its rate does not change with their
number), and both are read once beforehand so that neither pays for the disk. The loop gets torch's default threads.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PIXELS = 112
RESULTS = Path(__file__).parent / "results" / "score.md"


def write_model(folder: Path) -> None:
    """The network and preprocessing of configs/experiment/chest_xray.yaml, untrained."""
    import torch

    from medcnn.tasks.build import build
    from medcnn.tasks.checkpoint import Product

    torch.manual_seed(0)
    net = {"widths": [16, 32, 96, 192], "depths": [1, 2, 2, 1], "stem_stride": 2, "dropout": 0.2}
    init = {
        "net": {"class_path": "medcnn.nets.resnet.ResNet", "init_args": net},
        "loss": {"class_path": "torch.nn.CrossEntropyLoss", "init_args": {}},
        "classes": ["NORMAL", "PNEUMONIA"],
    }
    task = {"class_path": "medcnn.tasks.classification.ClassificationTask", "init_args": init}
    resize = {"keys": "image", "spatial_size": [PIXELS, PIXELS]}
    preprocess = [
        {"class_path": "medcnn.transforms.resize.AreaResized", "init_args": resize},
        {"class_path": "medcnn.transforms.intensity.PercentileNormalized",
         "init_args": {"keys": "image", "lower": 0.5, "upper": 99.5}},
    ]  # fmt: skip
    provenance = {"run_id": "", "medcnn_version": "", "data_digest": "", "image_shape": [1, PIXELS, PIXELS]}
    built = build(task)
    for weight in built.parameters():
        torch.nn.init.normal_(weight, std=0.1)  # a fresh net's last scales are zero: it would hardly see the film
    weights = built.state_dict()
    Product(weights, task, preprocess, ("NORMAL", "PNEUMONIA"), False, None, provenance).to_folder(folder)


def write_films(folder: Path, count: int, size: int) -> None:
    """Films of 12 bits stored in 16, uncompressed; eight contents, each file with UIDs of its own."""
    from medcnn.io.dicom_write import write_film

    folder.mkdir()
    chance = np.random.default_rng(0)
    waves = np.linspace(0, 3, size)[:, None] + np.linspace(0, 2, size)
    contents = [
        (2000 + 1500 * np.sin(waves + phase) + chance.normal(0, 60, (size, size))).clip(0, 4095).astype(np.uint16)
        for phase in range(8)
    ]
    for number in range(count):
        write_film(folder / f"{number:05}.dcm", contents[number % 8], bits_stored=12)


def plain_loop(model: Path, files: list[Path]) -> tuple[float, np.ndarray]:
    """Seconds and probabilities of the usual way, imports and model not counted."""
    import warnings

    import torch
    from monai.data import PydicomReader
    from monai.transforms import EnsureChannelFirst, LoadImage, Resize

    from medcnn.tasks.checkpoint import open_product

    warnings.simplefilter("ignore")
    product = open_product(model)
    task = product.build_task()
    # As stored, not turned by 90 degrees, so that both ways should give the same probabilities.
    load, first = LoadImage(PydicomReader(swap_ij=False), image_only=True), EnsureChannelFirst()
    resize, normalize = Resize((PIXELS, PIXELS), mode="area"), product.build_preprocess()[1]
    found = []
    started = time.perf_counter()
    with torch.inference_mode():
        for path in files:
            image = normalize({"image": resize(first(load(path)))})["image"]
            found.append(task.probabilities(task(torch.as_tensor(image)[None].float())))
    return time.perf_counter() - started, torch.cat(found).numpy()


def scored(model: Path, source: Path, out: Path) -> tuple[float, dict]:
    """Seconds of the whole process, and what it says of itself."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "medcnn", "score", model, source, out], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started, json.loads((out / "summary.json").read_text())


def largest_difference(out: Path, loop: np.ndarray) -> float:
    import pandas as pd

    table = pd.read_parquet(out / "findings.parquet").sort_values("path")
    ours = table.filter(like="probability/").to_numpy()[: len(loop)]
    return float(np.abs(ours - loop).max())


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--films", type=int, default=1000)
    options.add_argument("--size", type=int, default=2048)
    options.add_argument("--loop", type=int, default=200, help="films that the plain loop reads")
    options.add_argument("--work", type=Path, default=None, help="folder for the films: 8 MB each, deleted at the end")
    given = options.parse_args()
    work = Path(tempfile.mkdtemp(prefix="medcnn-score-", dir=given.work))
    try:
        write_model(work / "model")
        write_films(work / "films", given.films, given.size)
        files = sorted((work / "films").iterdir())
        for path in files:
            path.read_bytes()
        loop_s, loop = plain_loop(work / "model", files[: given.loop])
        whole_s, summary = scored(work / "model", work / "films", work / "out")
        report(given, len(loop) / loop_s, whole_s, summary, largest_difference(work / "out", loop))
    finally:
        shutil.rmtree(work)


def report(given: argparse.Namespace, loop_rate: float, whole_s: float, summary: dict, difference: float) -> None:
    steady, whole = summary["this_run"]["per_second"], summary["scored"] / whole_s
    cores = len(os.sched_getaffinity(0))
    text = f"""# Scoring a folder of films

{given.films} DICOM films of {given.size} x {given.size}, 12 bits stored, uncompressed, on {cores} cores; the
network and preprocessing of `configs/experiment/chest_xray.yaml` ({PIXELS} pixels). One run of
`python benchmarks/score.py`. The plain loop is MONAI's LoadImage, EnsureChannelFirst and Resize, the same
normalization and the same net, a film at a time.

| way | films a second | ratio |
|---|---|---|
| the plain loop over {min(given.loop, given.films)} films, imports not counted | {loop_rate:.2f} | 1 |
| `medcnn score`, whole process ({whole_s:.1f} s with start, imports, tables) | {whole:.1f} | {whole / loop_rate:.1f} |
| `medcnn score`, once under way | {steady:.1f} | {steady / loop_rate:.1f} |

Largest difference of a probability between the two ways: {difference:.1e}.
Load of the machine at the end: {os.getloadavg()[0]:.1f} ({cores} is a machine that does nothing else).
"""
    print(text)
    RESULTS.write_text(text)


if __name__ == "__main__":
    main()
