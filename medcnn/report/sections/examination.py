"""What further looks at the net found: worse images, shortcuts, randomized weights, embeddings, fewer cases."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from medcnn.report.facts import RunFacts
from medcnn.report.figures.examination import (
    embedding_figure,
    learning_curve_figure,
    randomization_figure,
)
from medcnn.report.page.blocks import Block, Picture, Section, Table, Text
from medcnn.report.run_files import read_table
from medcnn.report.sections.robustness import one_figure, robustness_blocks
from medcnn.report.sections.shortcuts import shortcut_blocks


@dataclass(frozen=True)
class Look:
    """A table that an examination of the net leaves behind.

    Attributes:
        name: Of the picture and the table on the page.
        place: Below the run's folder; ``{split}`` stands for that of the judged cases.
        columns: That it must have.
        caption: What it shows.
        draw: Its picture; None for a table alone.
    """

    name: str
    place: str
    columns: tuple[str, ...]
    caption: str
    draw: Callable[[pd.DataFrame], Figure] | None = None


LOOKS = (
    Look("robustness", "{split}/robustness.csv", ("corruption", "strength", "figure", "value"), ""),
    Look("shortcuts", "{split}/shortcuts.csv", ("name", "flagged", "sentence"), ""),
    Look("randomization", "{split}/randomization.csv", ("step", "layer", "spearman", "ssim"),
         "Weights made random layer by layer: a map that does not change does not show what the net has learned.",
         randomization_figure),
    Look("embedding", "{split}/embedding.csv", ("case", "x", "y", "label"),
         "Cases as the layer before the last sees them: neighbors look alike to the net.", embedding_figure),
    Look("learning_curve", "learning_curve/learning_curve.csv", ("cases", "value"),
         "The same training on fewer cases: whether more cases would help.",
         lambda table: learning_curve_figure(table, one_figure(table))),
)  # fmt: skip


def examination_section(facts: RunFacts, split: str = "test", cases: int = 0, of: str = "test cases") -> Section:
    """Whatever examinations the run holds; those it does not hold are named as not made.

    Args:
        facts: Of the run.
        split: Whose examinations.
        cases: That the page judges.
        of: What these are called.
    """
    if not facts.run_id and facts.folder is None:
        return Section("examination", "Examination of the net", [Text("Not examined: a table of predictions has no net "
                                                                      "to look at.")])  # fmt: skip
    blocks: list[Block] = []
    missing: list[str] = []
    for look in LOOKS:
        table, why = read_table(facts.folder, look.place.format(split=split), look.columns)
        if table is None:
            missing.append(f"{look.name.replace('_', ' ')}{f' ({why})' if why else ''}")
        else:
            blocks += _tried(look, table, cases, of)
    if missing:
        blocks.append(Text(f"Not examined on these cases: {', '.join(missing)}."))
    return Section("examination", "Examination of the net", [*blocks, *_elsewhere(facts, split)])


def _elsewhere(facts: RunFacts, split: str) -> list[Block]:
    """On a page of other cases: that the test cases were examined, and where that stands."""
    if split == "test":
        return []
    of_cases = [look for look in LOOKS if "{split}" in look.place]
    tables = [read_table(facts.folder, look.place.format(split="test"), look.columns)[0] for look in of_cases]
    there = [look.name.replace("_", " ") for look, table in zip(of_cases, tables, strict=True) if table is not None]
    if not there:
        return []
    return [Text(f"The test cases of this run were examined ({', '.join(there)}): see the page of the test cases, and "
                 "the folder test/ of the run.")]  # fmt: skip


def _tried(look: Look, table: pd.DataFrame, cases: int, of: str) -> list[Block]:
    try:
        return _shown(look, table, cases, of)
    except (KeyError, ValueError, TypeError) as error:
        # A table of another version: its rows are still worth more than a page that is not written.
        words = f"The picture of {look.name} could not be drawn ({type(error).__name__}: {error})."
        return [Text(words), Table(look.name, table, look.caption)]


def _shown(look: Look, table: pd.DataFrame, cases: int, of: str) -> list[Block]:
    if look.name == "shortcuts":
        return shortcut_blocks(table)
    if look.name == "robustness":
        return robustness_blocks(table, cases, of)
    assert look.draw is not None
    alt = f"{look.caption} The table holds {len(table):,} rows."
    return [Picture(look.name, look.draw(table), alt, table, look.caption)]
