"""Worse images: the weakest place in a sentence, on how many cases, in units, and the calls that change."""

import numpy as np
import pandas as pd

from medcnn.report.page.blocks import Picture, Table, Text
from medcnn.report.sections.robustness import robustness_blocks
from medcnn.report.sections.shortcuts import looked_for, shortcut_blocks


def strained() -> pd.DataFrame:
    rows = [
        ("none", 0, 0.0, "", 0.96, 0.0),
        ("blur", 1, 0.5, "pixels", 0.95, 0.01),
        ("blur", 5, 3.0, "pixels", 0.94, 0.33),
        ("noise", 5, 0.8, "standard deviations", 0.70, 0.30),
    ]
    table = pd.DataFrame(rows, columns=["corruption", "strength", "amount", "unit", "value", "flipped"])
    return table.assign(figure="auroc", n=400, low=table["value"] - 0.01, high=table["value"] + 0.01)


def test_the_weakest_change_is_named_by_its_unit_for_calls_and_for_the_figure() -> None:
    text = robustness_blocks(strained(), 624, "test cases")[0]
    assert isinstance(text, Text)
    assert text.text == (
        "Looked at on 400 of the 624 test cases; with the images as they are their AUROC is 0.960. Most calls change "
        "under blur 5 (3 pixels): 33% of them. The AUROC is lowest under noise 5 (0.8 standard deviations): 0.700 "
        "(0.690 to 0.710)."
    )


def test_calls_that_change_have_panels_of_their_own_and_strengths_a_folded_table() -> None:
    blocks = robustness_blocks(strained(), 400, "test cases")
    assert [block.name for block in blocks if isinstance(block, Picture)] == ["robustness", "robustness_calls"]
    strengths = next(block for block in blocks if isinstance(block, Table))
    assert strengths.folded
    assert strengths.frame["unit"].tolist() == ["", "pixels", "pixels", "standard deviations"]
    assert "all 400 test cases" in blocks[0].text  # type: ignore[union-attr]


def test_a_table_without_calls_and_units_is_told_as_far_as_it_goes() -> None:
    bare = strained()[["corruption", "strength", "figure", "value"]]
    blocks = robustness_blocks(bare, 10, "test cases")
    assert [block.name for block in blocks if isinstance(block, Picture)] == ["robustness"]
    assert "lowest under noise 5: 0.700." in blocks[0].text  # type: ignore[union-attr]


def looks(flagged: bool) -> pd.DataFrame:
    names = ["marker L: upper left", "marker R: upper left", "hidden: upper left", "border", "site = A"]
    return pd.DataFrame({
        "name": names, "sentence": [f"About {name}." for name in names], "flagged": [flagged, *[False] * 4],
        # As shares of their margins: 0.1, 0.5, nothing known, 0.2 and 0.8 (a half of the pairs is no effect).
        "effect": [0.04, -0.2, np.nan, 0.15, 0.54], "margin": [0.4, 0.4, 0.25, 0.75, 0.05], "p_adjusted": 1.0,
    })  # fmt: skip


def test_without_a_flag_the_page_says_what_was_looked_for_and_names_the_three_largest_effects() -> None:
    said = [block.text for block in shortcut_blocks(looks(False)) if isinstance(block, Text)]
    assert looked_for(looks(False)) == "marker (2), hidden (1), border (1), site (1)"
    assert "marker (2), hidden (1), border (1), site (1)" in said[0]
    assert said[1].endswith("About site = A. About marker R: upper left. About border.")


def test_looks_at_several_findings_are_counted_by_what_was_done() -> None:
    names = ["Mass: marker L: upper left", "Edema: marker L: upper left", "Mass: border", "Edema: site = A"]
    assert looked_for(pd.DataFrame({"name": names})) == "marker (2), border (1), site (1)"


def test_sizes_that_the_examination_gives_are_taken_as_they_are() -> None:
    told = looks(False).assign(of_margin=[0.1, 0.2, 0.9, np.nan, 0.3], what="a shift", limit="0.4 standard deviations")
    blocks = shortcut_blocks(told)
    assert blocks[1].text.endswith("About hidden: upper left. About site = A. About marker R: upper left.")  # type: ignore[union-attr]
    assert isinstance(blocks[-1], Table)
    assert blocks[-1].frame["flagged beyond"].tolist() == ["0.4 standard deviations"] * 5


def test_a_flagged_shortcut_is_a_warning_and_p_is_explained() -> None:
    blocks = shortcut_blocks(looks(True))
    assert blocks[0] == Text("About marker L: upper left.", "warning")
    assert isinstance(blocks[-1], Table)
    assert "that the effect lies within its margin" in blocks[-1].caption
