"""A map of cases that can be turned, in one HTML file that fetches nothing."""

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medcnn.files import write_atomic

#: Name of a map, to its columns in two and in three dimensions.
MAPS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "t-SNE": (("x", "y"), ("tsne3d1", "tsne3d2", "tsne3d3")),
    "principal components": (("pca1", "pca2"), ("pca1", "pca2", "pca3")),
}
COLORS = (("label", "label"), ("call", "call"), ("split", "split"))
MOST_VALUES = 12  # of a column, in colors of their own; numbers of more values get a scale
# Colors that people who see no red or no green can tell apart (Okabe and Ito), then others.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#000000", "#8C564B",
           "#9467BD", "#BCBD22", "#17BECF")  # fmt: skip
STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 1rem; color: #222; }
h1 { font-size: 1.2rem; margin: 0 0 .6rem; }
label { margin-right: 1.2rem; white-space: nowrap; }
select { font: inherit; }
#map { width: 100%; height: calc(100vh - 10rem); min-height: 22rem; }
p { margin: .6rem 0; color: #555; }
"""
SCRIPT = """
"use strict";
const told = JSON.parse(document.getElementById("told").textContent);
const menu = (id) => document.getElementById(id);
// Plotly reads a few tags in labels: every value of a case must stay text.
const text = (value) => String(value).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
function fill(id, names) {
  for (const name of names) {
    const option = document.createElement("option");
    option.value = name;
    option.textContent = name;
    menu(id).append(option);
  }
  menu(id).addEventListener("change", draw);
}
function trace(which, axes, name, marker) {
  const part = {
    type: axes.length === 3 ? "scatter3d" : "scatter", mode: "markers", name: text(name),
    text: which.map((i) => told.hover[i].map(text).join("<br>")), hoverinfo: "text", marker: marker,
  };
  ["x", "y", "z"].slice(0, axes.length).forEach((axis, k) => { part[axis] = which.map((i) => axes[k][i]); });
  return part;
}
function traces(axes, color) {
  const every = told.hover.map((_, i) => i).filter((i) => axes.every((axis) => axis[i] !== null));
  const size = axes.length === 3 ? 4 : 8;
  if (color.numbers) {
    const marker = {size: size, color: every.map((i) => color.numbers[i]), colorscale: "Viridis", showscale: true};
    return [trace(every, axes, "", marker)];
  }
  return color.names.map((name, k) => trace(every.filter((i) => color.codes[i] === k), axes, name,
    {size: size, opacity: 0.8, color: told.palette[k % told.palette.length]}));
}
function draw() {
  const axes = told.maps[menu("kind").value][menu("dims").value];
  const color = told.colors[menu("color").value];
  const plain = {title: {text: ""}, zeroline: false};
  const layout = {margin: {l: 40, r: 10, t: 36, b: 40}, showlegend: true, xaxis: plain, yaxis: plain,
    legend: {title: {text: text(menu("color").value)}, itemsizing: "constant"}, uirevision: menu("dims").value};
  const options = {responsive: true, displaylogo: false, showSendToCloud: false, showLink: false,
    modeBarButtonsToRemove: ["sendDataToCloud"]};
  Plotly.react("map", traces(axes, color), layout, options);
}
fill("kind", Object.keys(told.maps));
fill("dims", ["2-D", "3-D"]);
fill("color", Object.keys(told.colors));
draw();
"""


def embedding_html(table: pd.DataFrame, title: str = "Map of cases", note: str = "") -> str:
    """The page: a menu for the map, for two or three dimensions, and for what gives the color.

    The content security policy lets run the scripts of this page alone, known by their digests, and forbids every
    connection. Values of the table are text wherever they are shown.

    Args:
        table: A row a case: ``case`` (a pseudonym), any of ``label``, ``call``, ``split`` and ``group/<column>``, and
            coordinates: ``x``, ``y`` and ``tsne3d1`` to ``tsne3d3`` for t-SNE (``x``, ``y``, ``z`` where there are
            no others), ``pca1`` to ``pca3``.
        title: Plain text.
        note: A sentence under the map, plain text.

    Raises:
        ValueError: If there is no column ``case``, or no map.
    """
    maps = _maps(table)
    if "case" not in table or not maps:
        raise ValueError(f"a map of cases needs the columns case and pca1, pca2 or x, y; found {list(table)}")
    told = {"maps": maps, "colors": _colors(table), "hover": _hover(table), "palette": PALETTE}
    # Within a script "<" could end it; as an escape it is the same JSON.
    data = json.dumps(told, allow_nan=False).replace("<", "\\u003c")
    from plotly.offline import get_plotlyjs

    scripts = [get_plotlyjs().replace("</script", "<\\/script"), SCRIPT]
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    menus = " ".join(
        f'<label>{name} <select id="{place}"></select></label>'
        for name, place in (("map", "kind"), ("in", "dims"), ("color by", "color"))
    )
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title><link rel="icon" href="data:,"><style>{STYLE}</style></head>
<body><h1>{html.escape(title)}</h1><div>{menus}</div><div id="map"></div><p>{html.escape(note)}</p>
<script type="application/json" id="told">{data}</script>
<script>{scripts[0]}</script><script>{scripts[1]}</script></body></html>
"""


def write_embedding_page(table: pd.DataFrame, path: Path, title: str = "Map of cases", note: str = "") -> Path:
    """Write the page, about 5 MB; it appears whole.

    Raises:
        ValueError: As ``embedding_html``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    page = embedding_html(table, title, note)
    write_atomic(path, lambda draft: draft.write_text(page, "utf-8"))
    return path


def _maps(table: pd.DataFrame) -> dict[str, dict[str, list[list[float | None]]]]:
    maps = {}
    for name, (flat, deep) in MAPS.items():
        if name == "t-SNE" and not set(deep) <= set(table) and "z" in table:
            deep = ("x", "y", "z")
        if set(flat) <= set(table):
            deep = deep if set(deep) <= set(table) else flat
            maps[name] = {"2-D": [_numbers(table[c]) for c in flat], "3-D": [_numbers(table[c]) for c in deep]}
    return maps


def _colors(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    groups = [(column, str(column).removeprefix("group/")) for column in table if str(column).startswith("group/")]
    colors: dict[str, dict[str, Any]] = {}
    for column, name in [*COLORS, *groups]:
        if column in table:
            colors[name if name not in colors else str(column)] = _color(table[column])
    return colors or {"nothing": {"names": ["all cases"], "codes": [0] * len(table)}}


def _color(values: pd.Series) -> dict[str, Any]:
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > MOST_VALUES:
        return {"numbers": _numbers(values)}
    texts = _texts(values)
    counts = pd.Series(texts).value_counts()
    common = sorted(counts.index[:MOST_VALUES]) if len(counts) > MOST_VALUES else sorted(counts.index)
    names = [*common, "others"] if len(counts) > MOST_VALUES else common
    place = {name: k for k, name in enumerate(common)}
    return {"names": names, "codes": [place.get(value, len(common)) for value in texts]}


def _hover(table: pd.DataFrame) -> list[list[str]]:
    shown = [c for c in table if c in ("case", "label", "call", "split") or str(c).startswith("group/")]
    columns = [_texts(table[c]) for c in shown]
    names = [str(c).removeprefix("group/") for c in shown]
    return [[f"{name}: {value}" for name, value in zip(names, row, strict=True)]
            for row in zip(*columns, strict=True)]  # fmt: skip


def _texts(values: pd.Series) -> list[str]:
    return ["not given" if pd.isna(value) or str(value) == "" else str(value) for value in values]


def _numbers(values: Sequence[Any] | pd.Series) -> list[float | None]:
    array = pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(np.float64)
    return [float(f"{value:.5g}") if np.isfinite(value) else None for value in array]


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
