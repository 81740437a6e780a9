"""The cases by which a model should be distrusted: its surest errors, and what they look like."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcnn.report.evidence import Evidence
from medcnn.report.outcome import UNKNOWN, Outcome, most_confident
from medcnn.report.page.blocks import Block, Facts, Picture, Section, Table, Text
from medcnn.report.run_files import read_picture, read_table

LISTED = 20
#: Pictures that a run's evaluation leaves behind, and what they show.
PICTURES = {
    "most_confident_wrong": "Called wrongly with most confidence",
    "most_confident_right": "Called rightly with most confidence",
    "highest_probability": "Highest probability of the finding",
    "lowest_probability": "Lowest probability of the finding",
}
_CAPTION = "The most confident errors, by pseudonym; the probability is that of the finding, or of what is true."


def failures_section(evidence: Evidence) -> Section:
    """The most confident errors by pseudonym with their nearest training cases, and pictures of telling cases."""
    folder = evidence.test.split
    neighbors, _ = read_table(evidence.facts.folder, f"{folder}/neighbors.csv", ("case", "neighbor", "neighbor_label"))
    blocks: list[Block] = _errors(evidence, neighbors)
    for name, title in PICTURES.items():
        picture = read_picture(evidence.facts.folder, f"{folder}/{name}.png")
        if picture is not None:
            alt = f"{title}: images of cases with the relevance map of the class that was called over them."
            blocks.append(Picture(name, picture, alt, None, f"{title}, {evidence.of}.", wide=True))
    return Section("failures", "Failures", blocks)


def _errors(evidence: Evidence, neighbors: pd.DataFrame | None) -> list[Block]:
    test = evidence.test
    if not len(test.cases) or all(finding.called is None for finding in evidence.findings):
        return [Text("Errors are not known: there is no call to judge.")]
    rows = most_confident(test, LISTED, right=False)
    if not rows:
        return [Facts({"Called wrongly": f"none of {int(test.known.any(axis=1).sum()):,} cases whose truth is known"})]
    table, caption = error_table(test, np.asarray(rows)), _CAPTION
    if neighbors is not None:
        table["training cases most alike"] = [_labels_near(neighbors, case) for case in table["case"]]
        caption += " A wrong case among training cases of the label it was called was hard, or is labeled wrongly."
    return [Table("errors", table, caption, shown=LISTED)]


def _labels_near(neighbors: pd.DataFrame, case: str) -> str:
    """Labels of the training cases that the net takes for most like a case, and how many have each."""
    labels = neighbors.loc[neighbors["case"].astype(str) == case, "neighbor_label"]
    return ", ".join(f"{count} {label}" for label, count in labels.astype(str).value_counts().items())


def error_table(outcome: Outcome, rows: NDArray[np.int64]) -> pd.DataFrame:
    """Pseudonyms, truth, call and probability of chosen cases."""
    chosen = outcome.take(rows)
    columns: dict[str, object] = {"case": list(chosen.cases)}
    if chosen.patients is not None:
        columns["patient"] = list(chosen.patients)
    columns["true"] = [_true(chosen, row) for row in range(len(rows))]
    columns["called"] = [call or "no finding" for call in chosen.calls]
    if chosen.multilabel:
        columns |= {f"p({name})": chosen.probabilities[:, k] for k, name in enumerate(chosen.classes[:8])}
    elif chosen.binary:
        columns[f"p({chosen.classes[1]})"] = chosen.probabilities[:, 1]
    else:
        columns["p(true)"] = (chosen.probabilities * chosen.truth).sum(axis=1)
        columns["p(called)"] = (chosen.probabilities * chosen.called).sum(axis=1)
    return pd.DataFrame(columns)


def _true(outcome: Outcome, row: int) -> str:
    names = [name for name, has in zip(outcome.classes, outcome.truth[row], strict=True) if has]
    if outcome.multilabel:
        return ";".join(names) or "no finding"
    return names[0] if names else UNKNOWN
