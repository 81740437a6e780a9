"""The model card: who the model is, what it is for, what was measured; one JSON file beside the page."""

import math
from collections.abc import Mapping
from typing import Any

from medcnn.metrics.estimate import Estimate
from medcnn.report.facts import RunFacts
from medcnn.report.guidelines.known import known_answers
from medcnn.report.page.blocks import Headline, Page
from medcnn.report.page.wording import NOT_PROVIDED

FORMAT = "medcnn-model-card/1"


def model_card(facts: RunFacts, page: Page) -> dict[str, Any]:
    """Plain data for JSON: what nobody provided reads so, and a number that is none is null.

    The parts follow Mitchell et al.: details, intended use, factors, metrics, evaluation and training data, analyses,
    caveats.

    Args:
        facts: The run, with what a person wrote in ``about``.
        page: Its report.

    References:
        Mitchell et al., 2019, arXiv:1810.03993
    """
    known = known_answers(facts, page)
    return {
        "format": FORMAT,
        "model_details": {
            "title": _told(facts, "title") if facts.about.get("title") else facts.name or NOT_PROVIDED,
            "digest": facts.model.get("digest") or NOT_PROVIDED,
            "type": known.get("technology", NOT_PROVIDED),
            "architecture": known.get("architecture", NOT_PROVIDED),
            "classes": list(facts.model.get("classes") or []),
            "run": facts.run_id or NOT_PROVIDED,
            "made": facts.started or NOT_PROVIDED,
            "software": known.get("software", NOT_PROVIDED),
            "code": known.get("code", NOT_PROVIDED),
            "license": _told(facts, "license"),
            "contact": _told(facts, "contact"),
        },
        "intended_use": {key: _told(facts, key) for key in ("intended_use", "users", "population", "not_for")},
        "training_data": {
            "sources": _told(facts, "data_sources"),
            "digest": facts.data.get("digest") or NOT_PROVIDED,
            "splits": facts.data.get("splits") or {},
            "proof": facts.data.get("proof") or {},
            "excluded": _left_out(facts),
            "preprocessing": known.get("preprocessing", NOT_PROVIDED),
        },
        "training": known.get("training", NOT_PROVIDED),
        "evaluation": {
            "judged": page.subtitle,
            "figures": {name: figure(estimate) for name, estimate in _headline(page).items()},
            "output": known.get("output", NOT_PROVIDED),
            "external_test": _told(facts, "external_test"),
        },
        "caveats": {
            "warnings": list(page.warnings),
            "limitations": _told(facts, "limitations"),
            "fairness": _told(facts, "fairness"),
            "ethics": _told(facts, "ethics"),
        },
        "not_a_medical_device": True,
    }


def figure(estimate: Estimate) -> dict[str, Any]:
    """An estimate as plain data."""
    return {name: _plain(value) for name, value in estimate._asdict().items()}


def _left_out(facts: RunFacts) -> dict[str, int]:
    """Images that could not be read, by reason, and cases that were taken out of a split for another's sake."""
    dropped = {f"taken out of {split}": count for split, count in (facts.data.get("dropped") or {}).items()}
    return dict(facts.data.get("excluded") or {}) | dropped


def _told(facts: RunFacts, key: str) -> str:
    return str(facts.about.get(key) or NOT_PROVIDED)


def _headline(page: Page) -> Mapping[str, Estimate]:
    found: dict[str, Estimate] = {}
    for block in page.blocks():
        if isinstance(block, Headline):
            found |= block.figures
    return found


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
