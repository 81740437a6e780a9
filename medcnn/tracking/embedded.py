"""Maps of the cases as the net sees them, and the training cases that lie nearest to those of the test."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from medcnn.explain.embedding import nearest, project, remoteness
from medcnn.report.figures.examination import embedding_figure
from medcnn.report.outcome import UNKNOWN
from medcnn.spreadsheet import write_frame
from medcnn.tracking.bench import Bench, Told
from medcnn.tracking.casework import case_names, case_table, groups_of
from medcnn.tracking.embedding_page import write_embedding_page

NEIGHBORS = 5
COMPONENTS = 3
MANY = 1000  # laying out more takes more than a few seconds


def write_embedding(bench: Bench) -> Told:
    """One row a case of test and training, with its place on a map: ``embedding.csv``, ``.png`` and ``.html``."""
    rows, features = bench.features
    numbers, parts, calls = [bench.numbers[rows]], [features], [bench.found.calls[row] for row in rows]
    splits = ["test"] * len(rows)
    try:
        training, known = bench.training
    except ValueError:  # a map of the test cases alone is a map, too
        training, known = bench.numbers[:0], features[:0]
    numbers, parts = [*numbers, training], [*parts, known]
    splits, calls = [*splits, *["train"] * len(training)], [*calls, *[""] * len(training)]
    table = pd.concat([_who(bench, part) for part in numbers], ignore_index=True)
    table.insert(1, "split", splits)
    table.insert(3, "call", calls)
    if len(table) > MANY:
        bench.tell(f"  {len(table):,} cases are laid out on a map")
    places = _places(np.concatenate(parts))
    groups = [name for name in table if str(name).startswith("group/")]
    table = table.drop(columns=groups).join(places).join(table[groups])
    write_frame(bench.folder / "embedding.csv", table)
    embedding_figure(table).savefig(bench.folder / "embedding.png")
    write_embedding_page(bench.folder / "embedding.html", table, "Cases as the layer before the last sees them")
    return Told({}, f"written: {bench.share(len(rows))} of the test and {len(training):,} of training on one map")


def write_neighbors(bench: Bench) -> Told:
    """``neighbors.csv``: the nearest training cases of each test case, by the features before the last layer."""
    rows, features = bench.features
    training, known = bench.training
    found, far = nearest(known, features, NEIGHBORS), remoteness(known, features, NEIGHBORS)
    of_test, of_training = _who(bench, bench.numbers[rows]), _who(bench, training)
    count = found.indices.shape[1]
    repeated, indices = np.repeat(np.arange(len(rows)), count), found.indices.reshape(-1)
    table = pd.DataFrame({
        "case": of_test["case"].to_numpy()[repeated],
        "neighbor": of_training["case"].to_numpy()[indices],
        "rank": np.tile(np.arange(1, count + 1), len(rows)),
        "distance": found.distances.reshape(-1).round(6),
        "label": of_test["label"].to_numpy()[repeated],
        "neighbor_label": of_training["label"].to_numpy()[indices],
        "farther_than": far.farther_than[repeated].round(4),
    })  # fmt: skip
    write_frame(bench.folder / "neighbors.csv", table)
    known_pairs = (table["label"] != UNKNOWN) & (table["neighbor_label"] != UNKNOWN)
    alike = (table["label"] == table["neighbor_label"])[known_pairs]
    share = float(alike.mean()) if len(alike) else float("nan")
    told = f"{100 * share:.0f} % of the {NEIGHBORS} nearest training cases have the label of the test case"
    return Told({"neighbors_of_the_same_label": share}, told if len(alike) else "written; no label is known")


def _places(features: NDArray[np.float64]) -> pd.DataFrame:
    flat, parts = project(features, "tsne").points, project(features, "pca", dims=3).points
    columns = {"x": flat[:, 0], "y": flat[:, 1]}
    return pd.DataFrame(columns | {f"pca{k + 1}": parts[:, k] for k in range(COMPONENTS)}).round(5)


def _who(bench: Bench, numbers: Tensor) -> pd.DataFrame:
    """Pseudonym, label and groups of cases."""
    table = pd.DataFrame({"case": case_names(bench.trainer, numbers), "label": _labels(bench, numbers)})
    groups = groups_of(bench.trainer, numbers, bench.task.classes)
    return table if groups is None else table.join(groups.add_prefix("group/"))


def _labels(bench: Bench, numbers: Tensor) -> list[str]:
    """The true class of cases, or the findings they have, joined by ``;``."""
    table, classes = case_table(bench.trainer), list(bench.task.classes)
    if table is None or not len(numbers):
        return [UNKNOWN] * len(numbers)
    rows = table.iloc[numbers.tolist()]
    if bench.task.multilabel:
        return [_present(row, classes) for row in rows[classes].to_numpy(dtype=np.float64)]
    if "label" not in rows:
        return [UNKNOWN] * len(numbers)
    return [classes[int(k)] if k >= 0 else UNKNOWN for k in rows["label"]]


def _present(row: Any, classes: Sequence[str]) -> str:
    return ";".join(name for name, value in zip(classes, row, strict=True) if value > 0.5)
