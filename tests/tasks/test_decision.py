"""The decision: chosen on given cases, plain data both ways, and what it calls."""

import json
import math

import pytest
import torch

from medcnn.errors import CheckpointError
from medcnn.metrics.classification import summarize
from medcnn.tasks.decision import Decision, calibrated, choose_decision

NAMES = ("normal", "effusion")
CHANCE = torch.Generator().manual_seed(0)
LABELS = (torch.rand(200, generator=CHANCE) < 0.3).long()
LOGITS = torch.randn(200, 2, generator=CHANCE) + 2 * torch.nn.functional.one_hot(LABELS, 2)


@pytest.mark.parametrize("target", [0.5, 0.9, 0.95, 1.0])
def test_the_threshold_reaches_its_target_where_it_was_chosen(target):
    decision = choose_decision(LOGITS, LABELS, NAMES, target_sensitivity=target)
    given = calibrated(LOGITS.double(), decision.temperature, False)
    found = summarize(given, LABELS, NAMES, thresholds=decision.thresholds).values
    assert found["sensitivity"] >= target
    assert found["sensitivity"] == pytest.approx(decision.sensitivity["effusion"])
    assert found["specificity"] == pytest.approx(decision.specificity["effusion"])
    assert (decision.cases, decision.positives) == (200, {"effusion": int(LABELS.sum())})


def test_rounding_does_not_change_a_call():
    decision = choose_decision(LOGITS, LABELS, NAMES)
    exact = calibrated(LOGITS.double(), decision.temperature, False)
    for noise in (-1e-7, 1e-7):
        assert decision.call(exact + noise, NAMES) == decision.call(exact.float(), NAMES) == decision.call(exact, NAMES)


def test_it_goes_through_json_and_back():
    decision = choose_decision(LOGITS, LABELS, NAMES)
    assert Decision.from_dict(json.loads(json.dumps(decision.to_dict(), allow_nan=False))) == decision


def test_a_threshold_that_could_not_be_chosen_goes_through_json_and_back():
    decision = choose_decision(LOGITS, torch.zeros_like(LABELS), NAMES)
    assert "no positive" in decision.reasons["effusion"]
    assert decision.temperature == 1
    back = Decision.from_dict(json.loads(json.dumps(decision.to_dict(), allow_nan=False)))
    assert math.isnan(back.thresholds["effusion"])
    assert set(back.call(torch.tensor([[0.4, 0.6], [0.6, 0.4]]), NAMES)) == {"normal", "effusion"}
    assert math.isnan(back.mean_specificity)


@pytest.mark.parametrize("harm", [
    {"temperature": "hot"}, {"temperature": 0.0}, {"temperature": float("nan")}, {"thresholds": [0.5]},
    {"thresholds": {"effusion": "high"}},
])  # fmt: skip
def test_a_decision_that_is_none_is_refused(harm):
    with pytest.raises(CheckpointError):
        Decision.from_dict(Decision().to_dict() | harm)


def test_a_decision_that_lacks_a_part_is_refused():
    with pytest.raises(CheckpointError, match="lacks"):
        Decision.from_dict({"temperature": 1.0})


def test_two_classes_are_called_at_the_threshold_of_the_second():
    given = torch.tensor([[0.8, 0.2], [0.7, 0.3], [0.1, 0.9]])
    assert Decision(thresholds={"effusion": 0.3}).call(given.double(), NAMES)[::2] == ["normal", "effusion"]
    assert Decision(thresholds={"effusion": 0.25}).call(given, NAMES) == ["normal", "effusion", "effusion"]


def test_several_classes_are_called_by_the_largest():
    given = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.3, 0.6]])
    decision = Decision(thresholds={"a": 0.9, "b": 0.0, "c": 0.9})
    assert decision.call(given, ("a", "b", "c")) == ["a", "c"]


def test_findings_are_called_each_at_its_threshold():
    given = torch.tensor([[0.5, 0.3], [0.1, 0.1], [0.1, 0.9]])
    decision = Decision(thresholds={"mass": 0.4, "nodule": 0.2})
    assert decision.call(given, ("mass", "nodule"), multilabel=True) == ["mass;nodule", "", "nodule"]


def test_findings_are_chosen_on_their_known_cases():
    labels = torch.stack([LABELS.float(), 1 - LABELS.float()], dim=1)
    labels[:50, 0] = torch.nan
    decision = choose_decision(LOGITS, labels, ("mass", "nodule"), True, 0.8)
    assert decision.positives == {"mass": int(LABELS[50:].sum()), "nodule": int((1 - LABELS).sum())}
    given = calibrated(LOGITS.double(), decision.temperature, True)
    found = summarize(given, labels, ("mass", "nodule"), True, decision.thresholds).values
    assert min(found["sensitivity/mass"], found["sensitivity/nodule"]) >= 0.8


def test_unknown_labels_take_no_part():
    more = torch.cat([LOGITS, 9 * torch.randn(20, 2, generator=CHANCE)])
    unknown = torch.cat([LABELS, -torch.ones(20, dtype=torch.int64)])
    assert choose_decision(more, unknown, NAMES) == choose_decision(LOGITS, LABELS, NAMES)


def test_probabilities_are_a_softmax_or_sigmoids_by_hand():
    logits = torch.tensor([[0.0, 2 * math.log(3)]])
    torch.testing.assert_close(calibrated(logits, 2.0, False), torch.tensor([[0.25, 0.75]]))
    torch.testing.assert_close(calibrated(logits, 2.0, True), torch.tensor([[0.5, 0.75]]))
    assert calibrated(logits.bfloat16(), 1.0, False).dtype == torch.float32
