"""What a reader must not miss reaches the top of the page and its limits, from wherever it stands."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from report_fakes import planted

from medcnn.metrics.operating_point import threshold_for_sensitivity, widened
from medcnn.report.classification_page import classification_page
from medcnn.report.evidence import gather
from medcnn.report.facts import RunFacts
from medcnn.report.outcome import Outcome
from medcnn.report.page.blocks import Page, Section, Table, Text
from medcnn.report.sections.alternatives import alternatives_table
from medcnn.report.sections.raised import for_the_top, raised

RUN = RunFacts(run_id="r1", name="chest")


def words(page: Page, name: str) -> str:
    found = next(one for one in page.sections if one.name == name)
    return " ".join(block.text for block in found.blocks if isinstance(block, Text))


def blurred(outcome: Outcome, noise: float) -> Outcome:
    """The same cases from a model that knows less; calls keep to 0.5."""
    share = np.clip(
        outcome.probabilities[:, 1] + np.random.default_rng(3).normal(size=len(outcome.cases)) * noise, 0, 1
    )
    calls = [outcome.classes[int(one)] for one in share >= 0.5]
    return replace(outcome, probabilities=np.stack([1 - share, share], axis=1), calls=calls, logits=None)


def test_many_flags_are_counted_beyond_the_first_four_and_other_warnings_stay_below() -> None:
    flags = Section("subgroups", "Subgroups", [Text(f"Gap {k}.", "warning") for k in range(6)])
    other = Section("calibration", "Calibration", [Text("Too low.", "warning"), Text("Plain.")])
    assert for_the_top([flags, other]) == ["Gap 0.", "Gap 1.", "Gap 2.", "Gap 3.", '2 more in the section "Subgroups".']
    assert raised([flags, other])[-1] == "Too low."


def test_a_flagged_gap_stands_on_top_and_among_the_limits() -> None:
    outcome = planted(2000, 2000)
    men = (outcome.groups["sex"] == "M").to_numpy()  # type: ignore[index]
    shares = outcome.probabilities.copy()
    shares[men, 1] = np.random.default_rng(0).random(int(men.sum()))
    shares[:, 0] = 1 - shares[:, 1]
    page = classification_page(replace(outcome, probabilities=shares), None, RUN)
    assert any(warning.startswith("sex M: the AUROC") for warning in page.warnings)
    assert "sex M: the AUROC" in words(page, "limits")


def test_a_drop_from_validation_to_test_is_said_where_the_intervals_part() -> None:
    test, val = planted(900, 900), planted(900, 900, 1, "val")
    told = classification_page(blurred(test, 0.6), val, RUN)
    assert "The AUC of pneumonia is lower on the test cases than on the validation cases" in words(
        told, "discrimination"
    )
    assert "The sensitivity for pneumonia is lower" in words(told, "operating-point")
    assert "The AUC of pneumonia is lower" in words(told, "limits")
    assert "is lower on the test cases" not in words(classification_page(test, val, RUN), "limits")


def test_a_broken_promise_of_coverage_is_said_and_a_kept_one_is_not() -> None:
    test, val = planted(900, 900), planted(900, 900, 1, "val")
    assert "The promise of 90% was not kept" in words(classification_page(blurred(test, 0.6), val, RUN), "abstention")
    kept = classification_page(test, val, RUN)
    assert "was not kept" not in words(kept, "limits")
    rows = next(b.frame for b in kept.blocks() if isinstance(b, Table) and b.name == "conformal").set_index("figure")[
        "value"
    ]
    empty, several = rows["90%: sets without an answer"].value, rows["90%: sets of two answers or more"].value
    # Of two classes a set has 0, 1 or 2 answers.
    assert rows["90%: answers in a set, on average"].value == pytest.approx(1 - empty + several)
    assert rows["90%: left to people"].value == pytest.approx(empty + several)


def test_alternatives_keep_the_rule_of_the_stored_threshold() -> None:
    test, val = planted(300, 150), planted(200, 100, 1, "val")
    rows = alternatives_table(gather(test, val, RUN)).set_index("chosen for")
    point = threshold_for_sensitivity(val.probabilities[:, 1], val.labels == 1, 0.95)
    stored = widened(point.threshold, val.probabilities[:, 1])
    assert stored < point.threshold
    assert rows.loc["sensitivity 95%", "threshold"] == stored
    assert rows.loc["sensitivity 95%", "validation sensitivity"] == point.sensitivity


def test_a_table_claims_neither_source_nor_training_and_lists_no_row_of_nothing() -> None:
    page = classification_page(planted(120, 60), None, RunFacts(name="a table of predictions"))
    limits = words(page, "limits")
    assert "whether its cases come from the source that the model was made on, or from another, is not known" in limits
    assert "One training with one seed" not in limits
    assert "cases of the table" in page.subtitle
    for name in ("identity", "intended-use"):
        assert [type(b) for s in page.sections if s.name == name for b in s.blocks] == [Text]


def test_a_test_elsewhere_that_people_tell_of_does_not_take_the_caution_away() -> None:
    page = classification_page(planted(60), None, replace(RUN, about={"external_test": "On 90 films of Basel: 0.9."}))
    assert "On 90 films of Basel: 0.9." in words(page, "limits")
    assert "is not known" in words(page, "limits")
    assert "nothing here has checked it" in words(page, "limits")


def test_the_title_that_people_give_stands_above_the_name_of_the_run() -> None:
    page = classification_page(planted(60), None, replace(RUN, about={"title": "Pneumonia\n finder " + "x" * 200}))
    assert page.title.startswith("Pneumonia finder")
    assert len(page.title) <= 120
    assert "\n" not in page.title
    assert page.subtitle.startswith("chest: 60 test cases")


def test_groups_stand_in_the_order_of_their_numbers_and_a_pair_is_told_once() -> None:
    outcome = planted(1200, 1200)
    chance = np.random.default_rng(0)
    ages = chance.choice(["65+", "5-17", "0-4", "18-64", "<0"], 1200)
    few = np.where(np.arange(1200) < 3, "x", "y")
    groups = pd.DataFrame({"sex": chance.choice(["F", "M"], 1200), "years": ages, "rare": few})
    page = classification_page(replace(outcome, groups=groups), None, RUN)
    tables = {block.name: block.frame for block in page.blocks() if isinstance(block, Table)}
    shown = tables["subgroups"]
    assert shown["group"][shown["column"] == "years"].tolist() == ["<0", "0-4", "5-17", "18-64", "65+"]
    gaps = tables["subgroup_gaps"]
    assert (gaps["column"] == "sex").sum() == 4  # AUROC, sensitivity, specificity, calibration
    looks = int((~gaps["p"].isna()).sum())
    assert f"{looks} looks at a gap" in words(page, "subgroups")
    assert "rare: no group and its rest have cases enough" in words(page, "subgroups")
