"""What the table of a data module says of chosen cases: pseudonyms, patients, and the groups they belong to."""

from collections.abc import Collection
from typing import Any

import pandas as pd
import pytorch_lightning as pl
from torch import Tensor

# What a cohort's table holds beside the columns that describe groups.
_OWN = frozenset({"case", "patient", "split", "label"})


def case_names(trainer: pl.Trainer, rows: Tensor) -> list[str]:
    """The pseudonyms of cases, or their numbers where the data module has no table of them."""
    table = case_table(trainer)
    if table is None or "case" not in table:
        return [f"case {int(row)}" for row in rows]
    return [str(name) for name in table["case"].iloc[rows.tolist()]]


def patients_of(trainer: pl.Trainer, rows: Tensor) -> list[str] | None:
    """The pseudonyms of the patients of cases; None where the data module does not say, or made one for each case."""
    table = case_table(trainer)
    if table is None or "patient" not in table or not getattr(trainer.datamodule, "patients_told", True):  # type: ignore[attr-defined]
        return None
    return [str(name) for name in table["patient"].iloc[rows.tolist()]]


def groups_of(trainer: pl.Trainer, rows: Tensor, classes: Collection[str]) -> pd.DataFrame | None:
    """One row a case with the columns that describe groups; None where there are none.

    Args:
        trainer: With the data module.
        rows: Numbers of the cases.
        classes: Of the task; with several findings each has a column, which is no group.
    """
    table = case_table(trainer)
    if table is None:
        return None
    names = [name for name in table.columns if name not in _OWN and name not in classes]
    return table[names].iloc[rows.tolist()].reset_index(drop=True) if names else None


def case_table(trainer: pl.Trainer) -> pd.DataFrame | None:
    """One row a case, as the data module has it; None where it has no such thing."""
    found: Any = getattr(getattr(trainer, "datamodule", None), "cases", None)
    return found
