"""How long a person waits for help: ``medcnn --help`` and each verb's, against ``python -c pass``, in one run.

    python benchmarks/help.py [--repeats 5]

The four verbs of Lightning build their parsers from torch and MONAI classes and are shown once, for comparison.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from medcnn.cli.main import LIGHTNING, VERBS


def rows(repeats: int) -> Iterator[tuple[str, list[str], int]]:
    """Name, words and repeats of each program."""
    yield "python -c pass", ["-c", "pass"], repeats
    yield "medcnn --help", ["-m", "medcnn", "--help"], repeats
    for verb in VERBS:
        yield f"medcnn {verb} --help", ["-m", "medcnn", verb, "--help"], 1 if verb in LIGHTNING else repeats


def seconds(words: list[str]) -> float:
    """Wall time of one start to finish."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    seconds(["-m", "medcnn", "--help"])  # the first start reads the disk
    print("| program | median s | least s | more than python |")
    print("|---|---|---|---|")
    base = None
    for name, words, times in rows(repeats):
        taken = [seconds(words) for _ in range(times)]
        middle = statistics.median(taken)
        base = base or middle
        print(f"| {name} | {middle:.3f} | {min(taken):.3f} | {middle - base:+.3f} |", flush=True)


if __name__ == "__main__":
    main()
