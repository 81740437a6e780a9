"""What a report is made of: sections of blocks, each of which is text, figures, a table or a picture with its table.

Whoever writes a section knows nothing of HTML, and whoever renders it knows nothing of statistics.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd
from matplotlib.figure import Figure

from medcnn.metrics.estimate import Estimate

Tone = Literal["plain", "good", "warning", "bad"]


@dataclass(frozen=True)
class Text:
    """A paragraph; plain text, never markup."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Facts:
    """Names and what is said of each, two columns. An empty value reads "not provided"."""

    facts: Mapping[str, str]


@dataclass(frozen=True)
class Headline:
    """Few large figures: name to an estimate. Each becomes a metric of the run, ``report/<name>``."""

    figures: Mapping[str, Estimate]


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: Of the file behind it, ``tables/<name>.csv``: lower case, digits and underscores; unique on the page.
        frame: Its rows; numbers stay numbers, the page rounds them.
        caption: One sentence; "" for none.
        shown: Rows on the page; the file has them all.
        folded: Whether it is opened by whoever wants it: long, and of use to few.
    """

    name: str
    frame: pd.DataFrame
    caption: str = ""
    shown: int = 30
    folded: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture, and the table of what it shows.

    Attributes:
        name: Of its files, ``pictures/<name>.png`` and ``tables/<name>.csv``; unique on the page.
        picture: A figure, or the bytes of a PNG.
        alt: What can be seen, for whoever does not see it.
        table: What was drawn; None for photographs of cases alone.
        caption: One sentence; "" for none.
        wide: Whether it takes the whole width; two others stand side by side where there is room.
    """

    name: str
    picture: Figure | bytes
    alt: str
    table: pd.DataFrame | None = None
    caption: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Item:
    """One point of a checklist; ``answer`` is "" where nothing was provided."""

    number: str
    topic: str
    asks: str
    answer: str = ""


@dataclass(frozen=True)
class Checklist:
    """A reporting guideline, point by point.

    Attributes:
        name: ``claim_2024``; the file behind it is ``tables/<name>.csv``.
        title: As its authors call it, with the source.
        items: Its points in order.
        folded: Whether its points are opened by whoever wants them.
    """

    name: str
    title: str
    items: Sequence[Item]
    folded: bool = False


Block = Text | Facts | Headline | Table | Picture | Checklist


@dataclass(frozen=True)
class Section:
    """A part of the page that the list of contents names.

    Attributes:
        name: Its anchor: lower case, digits and hyphens; unique on the page.
        title: A heading.
        blocks: What stands in it.
    """

    name: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A report.

    Attributes:
        title: What was judged, in a few words.
        subtitle: One line below it: which split, how many cases and patients.
        sections: In the order of reading.
        made: What stands at the foot: program and version, model digest, data digest, the day.
        warnings: What a reader must know before anything else; on top of the page.
        split: Which cases are judged: ``test``, ``val``, or ``table`` where they belong to no run.
        patients: How many are behind them; None where nobody told which cases belong to one patient.
    """

    title: str
    subtitle: str
    sections: Sequence[Section]
    made: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    split: str = "test"
    patients: int | None = None

    def blocks(self) -> Iterator[Block]:
        """Every block in the order of reading."""
        for section in self.sections:
            yield from section.blocks
