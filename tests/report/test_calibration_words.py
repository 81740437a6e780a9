"""Probabilities are called too low, too high or too sure where an interval excludes what is right, and only there."""

from dataclasses import replace

import numpy as np
import pytest
from report_fakes import planted

from medcnn.metrics.estimate import Estimate
from medcnn.metrics.reliability import calibration_figures
from medcnn.report.classification_page import headline, verdict
from medcnn.report.evidence import gather
from medcnn.report.facts import RunFacts
from medcnn.report.sections.calibration_words import fault, worsened


@pytest.mark.parametrize(("shift", "stretch", "words"), [
    (1.0, 1.0, "are too low"), (-1.0, 1.0, "are too high"), (0.0, 0.4, "are too sure"), (0.0, 2.5, "not sure enough"),
])  # fmt: skip
def test_a_planted_fault_is_named(shift: float, stretch: float, words: str) -> None:
    chance = np.random.default_rng(0)
    logits = chance.normal(size=4000) * 1.5
    positive = chance.random(4000) < 1 / (1 + np.exp(-(stretch * logits + shift)))
    told = fault(calibration_figures(1 / (1 + np.exp(-logits)), positive, draws=200))
    assert words in told


def test_right_probabilities_have_no_fault() -> None:
    shares = np.random.default_rng(1).random(3000)
    positive = np.random.default_rng(2).random(3000) < shares
    assert fault(calibration_figures(shares, positive, draws=200)) == ""


def test_what_the_temperature_made_worse_is_named_only_where_the_interval_excludes_right() -> None:
    right, off = Estimate(0.1, -0.2, 0.4), Estimate(3.0, 2.0, 4.0)
    ratio = Estimate(1.0, 0.9, 1.1)
    before = {"intercept": Estimate(2.0, 1.0, 3.0), "observed_over_expected": ratio}
    assert worsened(before, before | {"intercept": off}) == ["intercept"]
    assert worsened(before | {"intercept": Estimate(0.0, -1, 1)}, before | {"intercept": right}) == []


def test_the_headline_tells_the_ratio_that_the_verdict_speaks_of() -> None:
    outcome = planted(400, 400)
    half = outcome.probabilities[:, 1] / 2
    low = replace(outcome, probabilities=np.stack([1 - half, half], axis=1), logits=None)
    evidence = gather(low, None, RunFacts(run_id="r"))
    assert headline(evidence)["observed over expected"].low > 1
    assert "The probabilities are too low (observed over expected" in verdict(evidence)
