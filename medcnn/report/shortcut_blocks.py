"""Whether the probability follows what has nothing to do with the finding: what was looked for, and what was seen."""

import pandas as pd

from medcnn.report.page import Block, Table, Text

_NAMED = 3
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
    kinds = table["name"].astype(str).str.partition(":")[0].str.partition(" = ")[0]
    kinds = kinds.str.replace(r"^(marker) .$", r"\1", regex=True)
    return ", ".join(f"{kind} ({count})" for kind, count in kinds.value_counts(sort=False).items())


def _none_beyond(table: pd.DataFrame) -> str:
    return (
        f"Looked for, with the number of looks: {looked_for(table)}. No effect is flagged: none was shown to lie "
        "beyond the margin from which one is flagged. What was not looked for is not known, and effects within the "
        "margins can be there."
    )


def _by_size(table: pd.DataFrame) -> pd.Series:
    """Effects as shares of their margins, the largest first; a column's effect is a share of pairs, 0.5 is none."""
    if not {"effect", "margin"} <= set(table.columns):
        return pd.Series(dtype=float)
    of_column = table["name"].astype(str).str.contains(" = ", regex=False)
    size = (table["effect"] - 0.5 * of_column).abs() / table["margin"]
    return size.dropna().sort_values(ascending=False, kind="stable")


def _rows(table: pd.DataFrame) -> pd.DataFrame:
    """What was looked for and what was seen, those first of which chance explains least."""
    told = table.reindex(columns=["name", "sentence", "effect", "low", "high", "margin", "p_adjusted", "flagged"])
    return told.sort_values("p_adjusted", kind="stable").rename(
        columns={"name": "looked for", "sentence": "seen", "margin": "flagged beyond"}
    )
