"""A scoring in a process of its own, for a test that kills it."""

import sys
from pathlib import Path

from scoring_readers import slow

from medcnn.scoring.run import Options, score_folder
from medcnn.scoring.workers import warm_up
from medcnn.tasks.checkpoint import open_product


def score_slowly(model: Path, source: Path, out: Path) -> None:
    """Score in small batches and slowly."""
    warm_up()
    score_folder(open_product(model), source, out, Options(1, 2), slow)


if __name__ == "__main__":
    score_slowly(*map(Path, sys.argv[1:]))
