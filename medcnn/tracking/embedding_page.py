"""A map of cases that can be turned and asked in a browser: one file, which fetches nothing."""

import html
from pathlib import Path
from typing import Any

import pandas as pd

from medcnn.report.figures.canvas import COLORS

#: Words of the buttons, and the columns of each view.
VIEWS = {
    "t-SNE": ("x", "y"),
    "components": ("pca1", "pca2"),
    "components, 3-D": ("pca1", "pca2", "pca3"),
}
_SYMBOLS = {"train": "circle-open", "test": "circle"}


def write_embedding_page(path: Path, table: pd.DataFrame, title: str) -> None:
    """Draw the cases by label; a hollow point is a training case, and each says who it is.

    Args:
        path: Of the HTML file.
        table: As ``embedding.csv`` holds it.
        title: Above the map.
    """
    import plotly.graph_objects as go

    figure, told, groups = go.Figure(), _told(table), _groups(table)
    for number, columns in enumerate(VIEWS.values()):
        solid = len(columns) == 3
        for label, split in groups:
            rows = (table["label"] == label) & (table["split"] == split)
            look = {"color": _color(table, label), "symbol": _SYMBOLS[split], "size": 4 if solid else 7}
            figure.add_trace(
                (go.Scatter3d if solid else go.Scattergl)(
                    **dict(zip("xyz", (table.loc[rows, column] for column in columns), strict=False)),
                    mode="markers",
                    name=html.escape(f"{label}, {split}"),
                    marker=look,
                    text=told[rows],
                    hoverinfo="text",
                    visible=number == 0,
                )
            )
    menu = {"buttons": _buttons(len(groups)), "x": 1.0, "y": 1.12}
    figure.update_layout(title=html.escape(title), template="plotly_white", updatemenus=[menu])
    figure.write_html(path, include_plotlyjs=True, full_html=True)


def _buttons(groups: int) -> list[dict[str, Any]]:
    """One a view, which shows the groups of this view alone."""
    shown = {word: [k // groups == number for k in range(groups * len(VIEWS))] for number, word in enumerate(VIEWS)}
    return [{"label": word, "method": "update", "args": [{"visible": each}]} for word, each in shown.items()]


def _groups(table: pd.DataFrame) -> list[tuple[str, str]]:
    pairs = table[["label", "split"]].drop_duplicates().sort_values(["label", "split"])
    return [(str(label), str(split)) for label, split in pairs.itertuples(index=False)]


def _color(table: pd.DataFrame, label: str) -> str:
    return COLORS[sorted(set(table["label"])).index(label) % len(COLORS)]


def _told(table: pd.DataFrame) -> pd.Series:
    """What a point says when the pointer is over it."""
    names = ["case", "split", "label", "call", *(name for name in table if str(name).startswith("group/"))]
    lines = [[f"{html.escape(str(name))}: {html.escape(str(cell))}" for cell in table[name]] for name in names]
    return pd.Series(["<br>".join(cells) for cells in zip(*lines, strict=True)], index=table.index)
