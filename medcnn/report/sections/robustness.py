"""The same cases with worse images: how a figure falls, how many calls change, and which change is worst."""

import pandas as pd
from matplotlib.figure import Figure

from medcnn.metrics.estimate import NAN, Estimate
from medcnn.report.figures.examination import robustness_figure
from medcnn.report.page.blocks import Block, Picture, Table, Text

NAMES = {"auroc": "AUROC", "dice": "Dice"}
_CAPTION = "The same cases with worse images: how much a figure falls with the strength of the change."
_CALLS = "The share of calls that the change turns into another one."


def robustness_blocks(table: pd.DataFrame, cases: int, of: str) -> list[Block]:
    """What was done to how many cases and what it did worst, the panels of both figures, and the strengths in units.

    Args:
        table: ``corruption``, ``strength``, ``figure``, ``value``; where there are any ``amount``, ``unit``, ``low``,
            ``high``, ``n``, ``flipped``.
        cases: That the page judges.
        of: What these are called.
    """
    figure = one_figure(table)
    name = NAMES.get(figure, figure or "value")
    rows = table[table["figure"] == figure] if figure else table
    blocks: list[Block] = [Text(" ".join(part for part in (_on(rows, name, cases, of), _weakest(rows, name)) if part))]
    blocks.append(_picture("robustness", robustness_figure(_named(rows, name), name), rows, _CAPTION))
    if "flipped" in rows and rows["flipped"].notna().any():
        told = "share of calls changed"
        changed = rows.assign(value=rows["flipped"], figure=told).drop(columns=["low", "high"], errors="ignore")
        drawn = robustness_figure(changed, told, "Calls that change")
        blocks.append(_picture("robustness_calls", drawn, changed[["corruption", "strength", "value"]], _CALLS))
    return [*blocks, _strengths(rows, name)]


def one_figure(table: pd.DataFrame) -> str:
    """The figure to draw of a table that may hold several: the AUROC, or else the first."""
    names = list(dict.fromkeys(table["figure"].dropna().astype(str))) if "figure" in table else []
    return next((name for name in names if name.lower().startswith("auroc")), names[0] if names else "")


def _picture(name: str, drawn: Figure, table: pd.DataFrame, caption: str) -> Picture:
    return Picture(name, drawn, f"{caption} The table holds {len(table):,} rows.", table, caption, wide=True)


def _named(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    return rows.assign(figure=name)


def _on(rows: pd.DataFrame, name: str, cases: int, of: str) -> str:
    """On how many of the judged cases, and what they give as they are."""
    counts = rows["n"].dropna() if "n" in rows else pd.Series(dtype=float)
    n = int(counts.max()) if len(counts) else 0
    told = f"{n:,} of the {cases:,} {of}" if 0 < n < cases else f"all {cases:,} {of}" if n else f"the {of}"
    whole = rows.loc[rows["strength"] == 0, "value"].dropna()
    as_they_are = f"; with the images as they are their {name} is {whole.iloc[0]:.3f}" if len(whole) else ""
    return f"Looked at on {told}{as_they_are}."


def _weakest(rows: pd.DataFrame, name: str) -> str:
    """The change that turns most calls, and the one under which the figure is lowest."""
    changed = rows[rows["strength"] != 0]
    said = []
    if "flipped" in changed and (changed["flipped"] > 0).any():
        row = changed.iloc[int(changed["flipped"].argmax())]
        said.append(f"Most calls change under {_change(row)}: {float(row['flipped']):.0%} of them.")
    if changed["value"].notna().any():
        row = changed.iloc[int(changed["value"].argmin())]
        said.append(f"The {name} is lowest under {_change(row)}: {_estimate(row)}.")
    return " ".join(said)


def _change(row: pd.Series) -> str:
    """``contrast 5 (0.1 of the contrast left)``."""
    unit = row.get("unit")
    amount = f" ({row['amount']:g} {unit})" if isinstance(unit, str) and row.get("amount") == row.get("amount") else ""
    return f"{str(row['corruption']).replace('_', ' ')} {row['strength']:g}{amount}"


def _estimate(row: pd.Series) -> Estimate:
    low, high = (float(row[end]) if end in row else NAN for end in ("low", "high"))
    return Estimate(
        float(row["value"]), low, high, n=int(row["n"]) if row.get("n") == row.get("n") and "n" in row else 0
    )


def _strengths(rows: pd.DataFrame, name: str) -> Table:
    """Every strength with what it is in units, and what it did."""
    shown = pd.DataFrame({"change": rows["corruption"].astype(str).str.replace("_", " "), "strength": rows["strength"]})
    if {"amount", "unit"} <= set(rows.columns):
        shown["amount"], shown["unit"] = rows["amount"], rows["unit"]
    shown[name] = [_estimate(row) for _, row in rows.iterrows()]
    if "flipped" in rows:
        shown["calls changed"] = rows["flipped"]
    shown = shown.reset_index(drop=True)
    return Table("robustness_strengths", shown, "What each strength is, and what it did.", shown=60, folded=True)
