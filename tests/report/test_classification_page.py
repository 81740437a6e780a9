"""The page holds what a reviewer asks for, in order, with the figures that the metrics give."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from report_fakes import planted

from medcnn.metrics.delong import auroc_interval
from medcnn.report.classification_page import classification_page
from medcnn.report.facts import RunFacts
from medcnn.report.figures.evaluation import roc_figure
from medcnn.report.outcome import Finding, roc_of
from medcnn.report.outcome_table import at_threshold
from medcnn.report.page.blocks import Facts, Headline, Page, Picture, Section, Table, Text
from medcnn.report.page.files import check_names
from medcnn.report.page.html import render
from medcnn.report.sections.discrimination import POINTS, thinned

FACTS = RunFacts(
    run_id="r1",
    name="chest",
    tags={"git.commit": "abc", "git.dirty": "true", "package.torch": "2.13.0", "medcnn.version": "1.0"},
    decision={"temperature": 1.3, "target_sensitivity": 0.95, "chosen_on": "val"},
    data={
        "digest": "d1", "excluded": {"truncated": 4}, "dropped": {"train": 2}, "flags": {"inverted": 3},
        "splits": {
            "train": {"cases": 10, "patients": 5, "classes": {"normal": 6}}, "test": {"cases": 4, "patients": 4},
        },
        "proof": {"patients_shared": 0, "contents_shared": 0, "checked": 14},
    },
    model={
        "digest": "m1",
        "preprocess": [{"class_path": "medcnn.transforms.X", "init_args": {"keys": "image", "lower": 1}}],
    },
    about={"intended_use": "Triage."},
)  # fmt: skip
ORDER = [
    "headline", "identity", "intended-use", "data-flow", "preprocessing", "discrimination", "calibration",
    "operating-point", "decision-curve", "abstention", "subgroups", "failures", "examination", "limits",
]  # fmt: skip


@pytest.fixture(scope="module")
def page() -> Page:
    return classification_page(planted(300, 150), planted(200, 100, 1, "val"), FACTS, prevalence=0.05)


def section(page: Page, name: str) -> Section:
    return next(one for one in page.sections if one.name == name)


def table(page: Page, name: str) -> pd.DataFrame:
    return next(block.frame for block in page.blocks() if isinstance(block, Table) and block.name == name)


def words(page: Page, name: str) -> str:
    return " ".join(block.text for block in section(page, name).blocks if isinstance(block, Text))


def test_sections_stand_in_the_order_of_reading_under_names_of_their_own(page: Page) -> None:
    assert [one.name for one in page.sections] == ORDER
    check_names(page)


def test_the_headline_is_what_the_metric_gives_clustered_by_patient(page: Page) -> None:
    outcome = planted(300, 150)
    found = next(block for block in section(page, "headline").blocks if isinstance(block, Headline)).figures["AUROC"]
    assert found == auroc_interval(outcome.probabilities[:, 1], outcome.labels == 1, outcome.patients)
    assert found.method == "DeLong, clustered by patient"
    assert "says nothing about cases of another source" in words(page, "headline")


def test_what_was_found_is_the_sum_of_what_was_left_out_and_kept(page: Page) -> None:
    flow = table(page, "data_flow").set_index("cases")["number"]
    assert flow["found"] == 4 + 2 + 10 + 4
    proof = next(block for block in section(page, "data-flow").blocks if isinstance(block, Facts)).facts
    assert proof == {
        "Patients in more than one split": "0", "Pictures in more than one split": "0", "Cases compared": "14"
    }  # fmt: skip


def test_identity_and_purpose_tell_what_is_known_and_leave_the_rest_empty(page: Page) -> None:
    identity = next(block for block in section(page, "identity").blocks if isinstance(block, Facts)).facts
    assert identity["Model digest"] == "m1"
    assert identity["Commit"] == "abc, with changes that no commit holds"
    assert identity["Seed"] == ""
    purpose = next(block for block in section(page, "intended-use").blocks if isinstance(block, Facts)).facts
    assert purpose["Intended use"] == "Triage."
    assert purpose["Not to be used for"] == ""


def test_preprocessing_is_told_step_by_step_with_failures_and_flags(page: Page) -> None:
    assert table(page, "preprocessing").to_numpy().tolist() == [[1, "X", "lower=1"]]
    assert table(page, "unreadable").to_numpy().tolist() == [["truncated", 4]]
    assert table(page, "flags").to_numpy().tolist() == [["inverted", 3]]


def test_calibration_says_where_the_temperature_was_fitted_and_shows_before_and_after(page: Page) -> None:
    assert "fitted on validation cases" in words(page, "calibration")
    assert {"before", "after"} <= set(table(page, "calibration"))


def test_alternatives_reach_their_target_where_they_were_chosen(page: Page) -> None:
    rows = table(page, "alternatives").set_index("chosen for")
    assert rows.loc["sensitivity 95%", "validation sensitivity"] >= 0.95
    assert rows.loc["specificity 90%", "validation specificity"] >= 0.90


def test_predictive_values_follow_bayes_at_the_prevalence_that_was_given(page: Page) -> None:
    rates = table(page, "operating_point").set_index("figure")["value"]
    sensitivity, specificity = rates["sensitivity"].value, rates["specificity"].value
    expected = 0.05 * sensitivity / (0.05 * sensitivity + 0.95 * (1 - specificity))
    assert table(page, "at_prevalence")["PPV there"].iloc[0].value == pytest.approx(expected)


def test_a_planted_gap_is_told_in_words() -> None:
    outcome = planted(2000, 2000)
    men = (outcome.groups["sex"] == "M").to_numpy()
    shares = outcome.probabilities.copy()
    shares[men, 1] = np.random.default_rng(0).random(int(men.sum()))
    shares[:, 0] = 1 - shares[:, 1]
    told = words(classification_page(replace(outcome, probabilities=shares), None, RunFacts()), "subgroups")
    assert "sex M: the AUROC is lower than in the rest" in told


def test_judging_validation_cases_warns_on_top_and_offers_no_alternatives() -> None:
    alone = classification_page(planted(120, 60, split="val"), None, FACTS)
    assert alone.warnings[0].startswith("These validation cases also chose the model")
    assert "alternatives" not in {block.name for block in alone.blocks() if isinstance(block, Table)}
    assert "it is no test" in words(alone, "headline")


def test_files_of_the_run_are_shown_and_broken_ones_are_told(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    roc_figure([roc_of(Finding("a", np.array([0.1, 0.9]), np.array([False, True]), 0.5))]).savefig(
        tmp_path / "test/most_confident_wrong.png"
    )
    (tmp_path / "test/robustness.csv").write_text(
        "corruption,strength,figure,value\nblur,0,auroc,0.9\nblur,1,auroc,0.8\n"
    )
    (tmp_path / "test/randomization.csv").write_text("nothing\n1\n")
    (tmp_path / "test/shortcuts.csv").write_text("name,flagged,sentence\nborder,True,The score follows the border.\n")
    page = classification_page(planted(60), None, replace(FACTS, folder=tmp_path))
    pictures = {block.name for block in page.blocks() if isinstance(block, Picture)}
    assert {"most_confident_wrong", "robustness"} <= pictures
    assert "The score follows the border." in words(page, "examination")
    assert "randomization (test/randomization.csv has no column step)" in words(page, "examination")


def test_limits_name_what_holds_here(page: Page) -> None:
    told = words(page, "limits")
    for part in ("another source", "one seed", "Validation cases chose", "4 images could not be read", "3 flags"):
        assert part in told, part


@pytest.mark.parametrize("multilabel", [False, True])
def test_several_findings_have_a_row_each_and_share_the_curves(multilabel: bool) -> None:
    made = planted(200, 100, classes=5, multilabel=multilabel)
    page = classification_page(made, planted(150, 80, 1, "val", 5, multilabel), FACTS, prevalence=0.1)
    check_names(page)
    for name in ("discrimination", "operating_point", "calibration", "headline_by_finding"):
        assert table(page, name)["finding"].tolist() == list(made.classes), name
    roc = next(block for block in page.blocks() if isinstance(block, Picture) and block.name == "roc")
    assert roc.table is not None
    assert set(roc.table["finding"]) == set(made.classes)


def test_a_thinned_curve_keeps_its_ends_and_its_area() -> None:
    chance = np.random.default_rng(0)
    positive = chance.random(50_000) < 0.02
    whole = roc_of(Finding("a", chance.normal(size=50_000) + 1.5 * positive, positive, float("nan")))
    few = thinned(whole)
    assert len(few.x) <= POINTS + 2
    assert (few.x[0], few.x[-1], few.y[-1]) == (whole.x[0], whole.x[-1], whole.y[-1])
    assert np.trapezoid(few.y, few.x) == pytest.approx(whole.area, abs=1e-3)


def test_a_prevalence_that_is_no_share_is_a_callers_mistake() -> None:
    with pytest.raises(ValueError, match="prevalence"):
        classification_page(planted(20), None, FACTS, prevalence=5)


def test_a_page_of_validation_cases_names_where_the_examination_of_the_test_cases_stands(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test/robustness.csv").write_text("corruption,strength,figure,value\nblur,1,auroc,0.8\n")
    facts = replace(FACTS, folder=tmp_path)
    told = words(classification_page(planted(60, split="val"), None, facts), "examination")
    assert "Not examined on these cases: robustness" in told
    assert "The test cases of this run were examined (robustness)" in told
    assert "test/" in told


def test_a_threshold_that_is_given_is_told_beside_the_stored_one() -> None:
    decision = {"temperature": 1.3, "thresholds": {"pneumonia": 0.7}, "stored": {"pneumonia": 0.2}, "given": True}
    judged = at_threshold(planted(120, 60), 0.7)
    page = classification_page(judged, None, replace(FACTS, decision=decision))
    told = words(page, "operating-point")
    assert "Called at the threshold of 0.7 that was given, in place of the stored one (0.2 for pneumonia)" in told
    assert "no rule chose it" in words(page, "limits")
    rates = table(page, "operating_point").set_index("figure")["value"]
    positive = judged.labels == 1
    assert rates["sensitivity"].value == pytest.approx((judged.probabilities[positive, 1] >= 0.7).mean())


def test_calls_of_a_table_give_rates_and_a_confusion_without_a_threshold() -> None:
    whole = planted(120, 60)
    called = replace(whole, thresholds={"pneumonia": float("nan")}, called_by="table")
    page = classification_page(called, None, RunFacts(name="a table of predictions"))
    assert "As called in the table; the threshold is not told." in words(page, "operating-point")
    hits = whole.called[whole.labels == 1, 1].mean()
    assert table(page, "operating_point").set_index("figure")["value"]["sensitivity"].value == pytest.approx(hits)
    assert any(block.name == "confusion" for block in page.blocks() if isinstance(block, Picture))


def test_digests_are_short_in_sight_and_whole_behind() -> None:
    facts = replace(FACTS, model={**FACTS.model, "digest": "m" * 64}, data={**FACTS.data, "digest": "d" * 64})
    page = classification_page(planted(60), None, facts)
    identity = next(block for block in section(page, "identity").blocks if isinstance(block, Facts)).facts
    assert (identity["Model digest"], identity["Data digest"]) == ("m" * 16, "d" * 16)
    assert table(page, "digests")["SHA-256"].tolist() == ["m" * 64, "d" * 64]


def test_markup_in_a_column_of_the_manifest_stays_text() -> None:
    outcome = planted(120)
    assert outcome.groups is not None
    evil = "<img src=x onerror=alert(1)>"
    groups = pd.DataFrame({evil: [evil if row % 2 else "plain" for row in range(len(outcome.cases))]})
    html = render(classification_page(replace(outcome, groups=groups), None, FACTS))
    assert "&lt;img src=x onerror=alert(1)&gt;" in html
    assert "<img src=x" not in html
