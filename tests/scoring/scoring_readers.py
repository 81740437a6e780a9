"""Readers for the workers of tests: importable by name, as a worker needs it; the file's name says what happens."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from medcnn.io.film import Film
from medcnn.io.read import read_film


def moody(path: Path) -> Film:
    """Read as usual, unless the name says to crash, hang, run out of memory, fail or be slow."""
    if "segfault" in path.name:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "killed" in path.name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "hangs" in path.name:
        time.sleep(600)
    if "huge" in path.name:
        raise MemoryError
    if "bug" in path.name:
        raise ZeroDivisionError("Doe^Jane")
    return read_film(path)


def slow(path: Path) -> Film:
    """A tenth of a second a film, so that a test can interrupt."""
    time.sleep(0.1)
    return read_film(path)


def nan(path: Path) -> Film:
    """A film without a number in it."""
    return Film(np.full((40, 40), np.nan, np.float32))
