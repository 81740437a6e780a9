"""Reporting guidelines, filled in with what a run and its people say, and "not provided" where nobody said anything."""

from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any

from medcnn.report.facts import RunFacts
from medcnn.report.guidelines.known import known_answers
from medcnn.report.page.blocks import Checklist, Item, Page, Section, Text
from medcnn.yaml_reader import load_yaml

#: Files of this package: number, topic, question and where the answer comes from, point by point.
GUIDELINES = ("claim_2024", "tripod_ai")


def guideline(name: str) -> dict[str, Any]:
    """``title`` and ``items`` of a guideline, as its file holds them."""
    text = files("medcnn.report.guidelines").joinpath(f"{name}.yaml").read_text("utf-8")
    found: dict[str, Any] = load_yaml(text, f"{name}.yaml")
    return found


def checklist(name: str, answers: Mapping[str, str]) -> Checklist:
    """A guideline with its answers.

    Args:
        name: One of ``GUIDELINES``.
        answers: Key of a ``from`` to a text.
    """
    held = guideline(name)
    items = [
        Item(
            number=item["number"],
            topic=item["topic"],
            asks=item["asks"],
            answer=" ".join(answers[key] for key in item["from"] if answers.get(key)),
        )
        for item in held["items"]
    ]
    return Checklist(name, held["title"], items)


def guidelines_section(facts: RunFacts, page: Page) -> Section:
    """Every guideline, filled in; a person's words come before those of the run.

    Args:
        facts: The run, with what a person wrote in ``about``.
        page: The report so far, to whose sections answers point.
    """
    answers = known_answers(facts, page) | {key: text for key, text in facts.about.items() if text}
    # A page of unanswered points hides what little there is: where no person said a word, they are folded.
    lists = [replace(checklist(name, answers), folded=not any(facts.about.values())) for name in GUIDELINES]
    told = "; ".join(f"{one.title.partition(',')[0]}: {len(_answered(one))} of {len(one.items)}" for one in lists)
    lead = Text(
        f"Points with an answer: {told}. Answers were put together from the run and from what was written about it; "
        "they are no judgment of how well the point is met. The questions are told in our words: the guidelines' own "
        "are in the papers named."
    )
    return Section("guidelines", "Reporting guidelines", [lead, *lists])


def _answered(one: Checklist) -> list[Item]:
    return [item for item in one.items if item.answer]
