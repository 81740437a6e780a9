"""A page with every kind of block, whose texts are what a test plants in them."""

import io
from html.parser import HTMLParser

import numpy as np
import pandas as pd
from PIL import Image

from medcnn.metrics.estimate import Estimate
from medcnn.report.figures.canvas import plain_figure
from medcnn.report.page.blocks import Checklist, Facts, Headline, Item, Page, Picture, Section, Table, Text

EVIL = "<img src=x onerror=alert(1)>\"'&"


def png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), dtype=np.uint8)).save(stream, format="png")
    return stream.getvalue()


def page_of_all(word: str = "a word") -> Page:
    """Every kind of block; ``word`` stands in every place that takes text."""
    figures = {word: Estimate(0.9123, 0.8745, 0.9412, 624, 598, 390, word, word), "other": Estimate(float("nan"))}
    frame = pd.DataFrame({
        word: [word, "b"], "cases": [12345, 7], "AUROC": [Estimate(0.5, 0.4, 0.6), Estimate(np.nan, reason=word)],
        **{f"a long name of column {k}": [0.25, np.inf] for k in range(12)},
    })  # fmt: skip
    figure, axes = plain_figure(5.6, 4, "title")
    axes.plot([0, 1], [0, 1])
    texts = [Text(word), Text(word, "good"), Text(word, "warning"), Text(word, "bad")]
    photographs = [Picture("cases", png(), word), Picture("w", png(), word, wide=True)]
    sections = [
        Section("summary", word, [Headline(figures), *texts]),
        Section("facts", "Facts", [Facts({word: word, "none": "", "digest": "0123456789abcdef" * 8})]),
        Section("tables", "Tables", [Table("groups", frame, word, 30)]),
        Section("pictures", "Pictures", [Picture("roc", figure, word, frame, word), *photographs]),
        Section("points", "Points", [Checklist("claim", word, [Item("1", word, word, word), Item("2", "t", "asks")])]),
    ]  # fmt: skip
    return Page(word, word, sections, {word: word, "day": ""}, [word])


class Seen(HTMLParser):
    """Tags with their attributes, and the text of a page, as a browser would part them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def attributes(self, name: str) -> list[str]:
        return [value or "" for _, found in self.tags for key, value in found.items() if key == name]
