"""What further looks at the net found: worse images, shortcuts, randomized weights, embeddings, fewer cases."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from medcnn.report.examination_figures import (
    embedding_figure,
    learning_curve_figure,
    randomization_figure,
    robustness_figure,
)
from medcnn.report.facts import RunFacts
from medcnn.report.page import Block, Picture, Section, Table, Text
from medcnn.report.run_files import read_table


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


def _one_figure(table: pd.DataFrame) -> str:
    """The figure to draw of a table that may hold several: the AUROC, or else the first."""
    names = list(dict.fromkeys(table["figure"].dropna().astype(str))) if "figure" in table else []
    return next((name for name in names if name.lower().startswith("auroc")), names[0] if names else "")


LOOKS = (
    Look("robustness", "{split}/robustness.csv", ("corruption", "strength", "figure", "value"),
         "The same cases with worse images: how much a figure falls with the strength of the change.",
         lambda table: robustness_figure(table, _one_figure(table))),
    Look("shortcuts", "{split}/shortcuts.csv", ("name", "flagged", "sentence"),
         "Whether the probability follows something that has nothing to do with the finding."),
    Look("randomization", "{split}/randomization.csv", ("step", "layer", "spearman", "ssim"),
         "Weights made random layer by layer: a map that does not change does not show what the net has learned.",
         randomization_figure),
    Look("embedding", "{split}/embedding.csv", ("case", "x", "y", "label"),
         "Cases as the layer before the last sees them: neighbors look alike to the net.", embedding_figure),
    Look("learning_curve", "learning_curve/learning_curve.csv", ("cases", "value"),
         "The same training on fewer cases: whether more cases would help.",
         lambda table: learning_curve_figure(table, _one_figure(table))),
)  # fmt: skip


def examination_section(facts: RunFacts, split: str = "test") -> Section:
    """Whatever examinations the run holds; those it does not hold are named as not made."""
    blocks: list[Block] = []
    missing: list[str] = []
    for look in LOOKS:
        table, why = read_table(facts.folder, look.place.format(split=split), look.columns)
        if table is None:
            missing.append(f"{look.name.replace('_', ' ')}{f' ({why})' if why else ''}")
        else:
            blocks += _shown(look, table)
    if missing:
        blocks.append(Text(f"Not examined: {', '.join(missing)}."))
    return Section("examination", "Examination of the net", blocks)


def _shortcut_rows(table: pd.DataFrame) -> pd.DataFrame:
    """What was looked for and what was seen, those first of which chance explains least."""
    told = table.reindex(columns=["name", "sentence", "effect", "low", "high", "margin", "p_adjusted", "flagged"])
    return told.sort_values("p_adjusted", kind="stable").rename(
        columns={"name": "looked for", "sentence": "seen", "margin": "flagged beyond"}
    )


def _shown(look: Look, table: pd.DataFrame) -> list[Block]:
    blocks: list[Block] = []
    if look.name == "shortcuts":
        told = table["flagged"].astype(str).str.lower().isin(("true", "1", "1.0"))
        blocks += [Text(str(sentence), "warning") for sentence in table["sentence"][told]]
        if not told.any():
            blocks.append(Text("No shortcut was found among those that were looked for."))
        return [*blocks, Table(look.name, _shortcut_rows(table), look.caption)]
    assert look.draw is not None
    try:
        figure = look.draw(table)
    except (KeyError, ValueError, TypeError) as error:
        # A table of another version: its rows are still worth more than a page that is not written.
        blocks.append(Text(f"The picture of {look.name} could not be drawn ({type(error).__name__}: {error})."))
        return [*blocks, Table(look.name, table, look.caption)]
    alt = f"{look.caption} The table holds {len(table):,} rows."
    return [*blocks, Picture(look.name, figure, alt, table, look.caption, wide=look.name == "robustness")]
