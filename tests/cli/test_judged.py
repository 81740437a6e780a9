"""Tables of predictions as other programs and people write them."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medcnn.cli.judged import Numbers, judged_table
from medcnn.errors import ManifestError
from medcnn.metrics.ranking import auroc

CHANCE = np.random.default_rng(3)
TRUTH = CHANCE.integers(0, 2, 40)
SCORES = np.round(np.clip(0.5 * TRUTH + CHANCE.uniform(0, 0.6, 40) - 0.05, 0, 1) * 4) / 4


def with_comma(values: np.ndarray) -> list[str]:
    return [str(value).replace(".", ",") for value in values]


@pytest.mark.parametrize(("separator", "encoding"), [(";", "utf-8-sig"), ("\t", "utf-16"), ("|", "cp1252")])
def test_a_table_of_a_european_spreadsheet_is_judged_as_any(tmp_path: Path, separator: str, encoding: str) -> None:
    head = ["Fall", "Patient ID", "Diagnosis", "probability", "größe"]
    ids = [f"{number // 2}" if number % 3 else f"{number // 2}.0" for number in range(40)]
    columns = [map(str, range(40)), ids, map(str, TRUTH), with_comma(SCORES), with_comma(40.5 + np.arange(40))]
    lines = [separator.join(row) for row in [head, *zip(*columns, strict=True)]]
    (tmp_path / "p.csv").write_text("\r\n".join([*lines, separator * 4, ""]), encoding=encoding)
    judged = judged_table(tmp_path / "p.csv", "test", Numbers())
    assert judged.outcome is not None
    [finding] = judged.outcome.findings()
    assert auroc(finding.scores, finding.positive) == pytest.approx(roc_auc_score(TRUTH, SCORES))
    assert len(set(judged.outcome.patients or [])) == 20
    assert judged.outcome.groups is not None
    assert judged.outcome.groups["größe"].tolist() == (40.5 + np.arange(40)).tolist()
    assert "column Patient ID is read as patient" in judged.notes


def test_columns_of_patients_that_disagree_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("subject_id,mrn,label,probability\n1,a,0,0.2\n1,b,1,0.9\n")
    with pytest.raises(ManifestError, match=r"subject_id and mrn .*: name the one meant patient"):
        judged_table(tmp_path / "p.csv", "test", Numbers())
