"""Folds for cross-validation: by patient, stratified, and of a test split untouched."""

from collections.abc import Hashable, Sequence

import numpy as np

from medcnn.data.split import dealt, groups_of
from medcnn.errors import ConfigError


def fold_cases(
    patients: Sequence[Hashable],
    labels: np.ndarray,
    folds: int,
    fold: int,
    test: float,
    seed: int,
    *,
    contents: Sequence[str] | None = None,
    given: Sequence[str] | None = None,
) -> np.ndarray:
    """A split for every case: one fold is validated, the others are trained on.

    The folds are the same whichever of them is asked for, so over all of them each case is validated once.

    Args:
        patients: Pseudonym of each case's patient; all of a patient's cases fall into one fold.
        labels: int ``(n,)`` with -1 unknown, or float ``(n, K)``: what is spread evenly over the folds.
        folds: Number of folds, 2 or more.
        fold: The one to validate on, from 0.
        test: Share of the cases that is set apart for a test before, where none is given.
        seed: Decides who goes where, with the contents: neither the order of the rows nor the key of the pseudonyms has
            a part in it, so a fold is the same fold on every machine.
        contents: Digest of each case's pixels; equal ones are kept together. Without, the patients stand in for them.
        given: A split for each case. What is given as test stays so; the rest is dealt into folds.

    Returns:
        ``train``, ``val`` or ``test`` for each case.

    Raises:
        ConfigError: If there is no such fold, or there are fewer patients than folds.
    """
    if folds < 2 or not 0 <= fold < folds:
        raise ConfigError(f"fold {fold} of {folds}: expected two folds or more, and one of 0 to folds - 1")
    if not 0 <= test < 1:
        raise ConfigError(f"the test fraction is {test}; expected a share that leaves something to train on")
    groups = groups_of(patients, contents)
    names = patients if contents is None else contents
    marks = np.asarray([""] * len(groups) if given is None else list(given), dtype=object)
    marks[marks != "test"] = ""
    if test > 0 and not (marks == "test").any():
        marks = dealt(groups, names, labels, {"": 1 - test, "test": test}, seed)
    rest = np.flatnonzero(marks != "test")
    if len(np.unique(groups[rest])) < folds:
        raise ConfigError(f"{len(np.unique(groups[rest]))} patients for {folds} folds: use fewer folds, or more cases")
    shares = {str(number): 1 / folds for number in range(folds)}
    of_fold = dealt(groups[rest], [names[int(row)] for row in rest], labels[rest], shares, seed)
    marks[rest] = np.where(of_fold == str(fold), "val", "train")
    return marks
