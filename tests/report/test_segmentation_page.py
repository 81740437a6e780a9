"""The page of a segmentation: means and differences against hand arithmetic, odd tables told or refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medcnn.errors import ReportError
from medcnn.report.facts import RunFacts
from medcnn.report.page.blocks import Headline, Page, Picture, Table, Text
from medcnn.report.page.html import render
from medcnn.report.segmentation_comparison import compared_cases_section
from medcnn.report.segmentation_page import segmentation_page
from medcnn.report.segmented_cases import cases_from_table


def table(n: int = 30, seed: int = 0, **columns: object) -> pd.DataFrame:
    draw, rows = np.random.default_rng(seed), []
    for case in range(n):
        for name, volume in (("anterior", 1700.0), ("posterior", 1500.0)):
            true = volume + draw.normal(0, 100)
            rows.append({"case": f"c{case}", "patient": f"p{case // 2}", "class": name,
                         "dice": 0.88 + draw.normal(0, 0.02), "nsd": 0.95, "hd95_mm": 1.2, "truth_mm3": true,
                         "volume_mm3": true + 50 + draw.normal(0, 20), "volume_error": 50 / true,
                         "group/site": "a" if case % 4 < 2 else "b"})  # fmt: skip
    return pd.DataFrame(rows).assign(**columns)


def tables(page: Page) -> dict[str, pd.DataFrame]:
    return {block.name: block.frame for block in page.blocks() if isinstance(block, Table)}


def test_the_headline_is_the_mean_over_cases_of_the_mean_over_classes() -> None:
    given = table()
    page = segmentation_page(given, RunFacts())
    headline = next(block for block in page.blocks() if isinstance(block, Headline))
    assert headline.figures["Dice"].value == pytest.approx(given["dice"].mean())
    assert headline.figures["Dice, anterior"].value == pytest.approx(given.loc[::2, "dice"].mean())
    assert (headline.figures["Dice"].n, headline.figures["Dice"].patients) == (30, 15)


def test_volumes_are_compared_with_the_truth_by_class() -> None:
    volumes = tables(segmentation_page(table(), RunFacts()))["volumes"]
    assert list(volumes["class"]) == ["anterior", "posterior"]
    assert volumes["bias"].iloc[0].value == pytest.approx(50, abs=6), "fifty more than the truth were planted"


def test_a_run_with_pictures_shows_them_and_one_without_does_not(tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "worst_cases.png").write_bytes(b"\x89PNG")
    page = segmentation_page(table(), RunFacts(folder=tmp_path), "val")
    assert "pictures_of_worst_cases" in {block.name for block in page.blocks() if isinstance(block, Picture)}
    assert any("chose the model" in warning for warning in page.warnings)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_cases_make_a_page_that_says_so(n: int) -> None:
    page = segmentation_page(table(n), RunFacts())
    assert any("intervals are wide" in warning for warning in page.warnings)
    assert render(page)


def test_nothing_there_and_nothing_found_has_no_dice_and_is_told() -> None:
    given = table(4)
    given.loc[given["case"] == "c1", ["dice", "nsd", "hd95_mm", "volume_error"]] = np.nan
    given.loc[given["case"] == "c1", ["truth_mm3", "volume_mm3"]] = 0.0
    page = segmentation_page(given, RunFacts())
    assert any("1 cases have no Dice" in warning for warning in page.warnings)
    assert any("absent in 1 cases" in block.text for block in page.blocks() if isinstance(block, Text))


def test_a_case_twice_is_counted_once_if_equal_and_refused_if_not() -> None:
    given = table(3)
    again = pd.concat([given, given.iloc[:2]])
    assert cases_from_table(again).repeated == 2
    assert any("2 rows stood there twice" in warning for warning in segmentation_page(again, RunFacts()).warnings)
    other = pd.concat([given, given.iloc[:1].assign(dice=0.1)])
    with pytest.raises(ReportError, match="case c0 stands twice"):
        cases_from_table(other)


def test_a_table_without_what_is_needed_is_refused_in_one_line() -> None:
    with pytest.raises(ReportError, match="has no column dice"):
        cases_from_table(table().drop(columns="dice"))
    with pytest.raises(ReportError, match="expected one for each"):
        cases_from_table(table(3).iloc[:-1])


def test_patients_who_were_not_told_are_a_warning_and_no_section() -> None:
    page = segmentation_page(table().drop(columns="patient"), RunFacts())
    assert any("each case as a patient of its own" in warning for warning in page.warnings)
    assert "patients" not in tables(page)


def test_a_planted_difference_of_two_runs_is_found_and_chance_is_not() -> None:
    one = table()
    noise = np.random.default_rng(5).normal(0, 0.01, len(one))
    same, worse = one.assign(dice=one["dice"] + noise), one.assign(dice=one["dice"] - 0.03 + noise)
    for other, found in ((same, False), (worse, True)):
        section = compared_cases_section(one, other)
        rows = next(block.frame for block in section.blocks if isinstance(block, Table))
        dice = rows[rows["figure"] == "Dice"]
        assert dice["first minus second"].iloc[0].value == pytest.approx((one["dice"] - other["dice"])[::2].mean())
        assert bool((dice["p"] < 0.001).all()) is found


def test_runs_that_share_no_case_or_no_truth_are_not_compared() -> None:
    one = table(4)
    with pytest.raises(ReportError, match="share no case"):
        compared_cases_section(one, one.assign(case="x" + one["case"]))
    with pytest.raises(ReportError, match="true volume of anterior in case c0"):
        compared_cases_section(one, one.assign(truth_mm3=one["truth_mm3"] * 1.1))


def test_the_page_is_whole_for_a_run(tmp_path: Path) -> None:
    facts = replace(RunFacts(), run_id="abc", name="<img src=x onerror=alert(1)>", folder=tmp_path)
    html = render(segmentation_page(table(), facts))
    assert "<img src=x" not in html
