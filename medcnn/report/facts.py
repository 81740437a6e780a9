"""What is known of a run besides its predictions: plain data, gathered by whoever has the run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: What a table of predictions is called that belongs to no run: its file's name could be that of a person.
TABLE = "a table of predictions"


@dataclass(frozen=True)
class RunFacts:
    """A run as its tracker holds it. Whatever the tracker does not hold stays empty.

    Attributes:
        run_id: Of the tracker; "" for a table of predictions that belongs to no run.
        name: What people call it.
        experiment: Where it stands in the tracker.
        started: Day and time in UTC, ISO 8601.
        status: ``FINISHED`` and so on.
        tags: Of the run, among them code (``code.*``), packages and machine, as they were logged.
        metrics: Name to the last value.
        config: The composed configuration.
        data: What the data module said of itself: ``digest``, ``splits``, ``proof``, ``dropped``, ``excluded``,
            ``flags``.
        decision: Temperature and thresholds; empty where none was stored.
        model: Of the logged product: ``digest``, ``task`` and ``net`` class paths, ``parameters`` (a count),
            ``classes``, ``multilabel``, ``preprocess`` (list of class path and arguments), ``provenance``.
        about: What a person wrote about the model (intended use and so on), by the keys of
            ``medcnn.report.guidelines.about``.
        folder: Where the run's artifacts lie as files: ``val/`` and ``test/`` with their tables and pictures; None
            where there are none.
    """

    run_id: str = ""
    name: str = ""
    experiment: str = ""
    started: str = ""
    status: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    decision: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
