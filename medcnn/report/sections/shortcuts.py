"""Whether the probability follows what has nothing to do with the finding: what was looked for, and what was seen."""

import pandas as pd

from medcnn.report.page.blocks import Block, Table, Text

_NAMED = 3
# What is done to images, as it stands in a name behind that of a finding; all others are columns of the cases.
_PROBE = r"(?:^|: )(marker|hidden|border)(?=$|[: ])"
_CAPTION = "Whether the probability follows something that has nothing to do with the finding."
_P = (
    "p is of the hypothesis that the effect lies within its margin: a small one says that it lies beyond. A p near 1 "
    "is no proof that there is no effect."
)


def shortcut_blocks(table: pd.DataFrame) -> list[Block]:
    """The flagged ones as warnings; without any what was looked for and the largest effects; then all of them.

    Args:
        table: ``name``, ``flagged``, ``sentence``; where there are any ``effect``, ``low``, ``high``, ``margin``,
            ``p_adjusted``.
    """
    told = table["flagged"].astype(str).str.lower().isin(("true", "1", "1.0"))
    blocks: list[Block] = [Text(str(sentence), "warning") for sentence in table["sentence"][told]]
    if not told.any():
        blocks.append(Text(_none_beyond(table)))
    largest = table.loc[_by_size(table).index, "sentence"].head(_NAMED)
    if len(largest) and not told.any():
        blocks.append(Text("The largest effects, measured by their margins: " + " ".join(map(str, largest))))
    return [*blocks, Table("shortcuts", _rows(table), f"{_CAPTION} {_P}")]


def looked_for(table: pd.DataFrame) -> str:
    """``marker (8 looks), hidden (4), border (1), scanner (2)``: what was looked for, by kind."""
    names = table["name"].astype(str)
    kinds = names.str.extract(_PROBE, expand=False).fillna(names.str.partition(" = ")[0].str.split(": ").str[-1])
    return ", ".join(f"{kind} ({count})" for kind, count in kinds.value_counts(sort=False).items())


def _none_beyond(table: pd.DataFrame) -> str:
    return (
        f"Looked for, with the number of looks: {looked_for(table)}. No effect is flagged: none was shown to lie "
        "beyond the margin from which one is flagged. What was not looked for is not known, and effects within the "
        "margins can be there."
    )


def _by_size(table: pd.DataFrame) -> pd.Series:
    """Effects as shares of their margins, the largest first; a column's effect is a share of pairs, 0.5 is none."""
    if "of_margin" in table:
        return table["of_margin"].dropna().sort_values(ascending=False, kind="stable")
    if not {"effect", "margin"} <= set(table.columns):
        return pd.Series(dtype=float)
    of_column = table["name"].astype(str).str.contains(" = ", regex=False)
    size = (table["effect"] - 0.5 * of_column).abs() / table["margin"]
    return size.dropna().sort_values(ascending=False, kind="stable")


def _rows(table: pd.DataFrame) -> pd.DataFrame:
    """What was looked for and what was seen, those first of which chance explains least."""
    beyond = "limit" if "limit" in table else "margin"
    kept = ["name", "sentence", "effect", "low", "high", "what", beyond, "of_margin", "p_adjusted", "flagged"]
    told = table.reindex(columns=[name for name in kept if name in table or name not in ("what", "of_margin")])
    named = {"name": "looked for", "sentence": "seen", "what": "the effect is", beyond: "flagged beyond",
             "of_margin": "share of the margin"}  # fmt: skip
    return told.sort_values("p_adjusted", kind="stable").rename(columns=named)
