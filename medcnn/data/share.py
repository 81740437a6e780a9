"""A part of the training cases, for a learning curve: by patient, stratified, each smaller part within the larger."""

from collections.abc import Hashable, Sequence

import numpy as np

from medcnn.data.split import class_counts, drawn_order, groups_of
from medcnn.errors import ConfigError


def check_share(share: float) -> float:
    """The share as it is.

    Raises:
        ConfigError: Outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ConfigError(f"train_share is {share}; give a share above 0 and up to 1, which trains on all cases")
    return share


def keep_share(
    splits: np.ndarray,
    patients: Sequence[Hashable],
    labels: np.ndarray,
    share: float,
    seed: int,
    contents: Sequence[str] | None = None,
) -> np.ndarray:
    """The same splits with only a share of the training cases; the others have "".

    Whoever is in a smaller share is in every larger one. Patients are drawn within their rarest class until its share
    of cases is reached, so no class that was there is lost. Validation and test stay as they are.

    Args:
        splits: ``train``, ``val``, ``test`` or "" for each case.
        patients: Pseudonym of each case's patient; all of a patient's cases stay together.
        labels: int ``(n,)`` with -1 unknown, or float ``(n, K)`` with NaN unknown.
        share: In (0, 1].
        seed: Decides who is left out, with the contents: the order of the rows has no part in it.
        contents: Digest of each case's pixels; equal ones are kept together. The patients decide without them.

    Raises:
        ConfigError: A share outside (0, 1].
    """
    rows = np.flatnonzero(np.asarray(splits) == "train")
    if check_share(share) == 1 or not len(rows):
        return splits
    owners = [patients[row] for row in rows.tolist()]
    same = None if contents is None else [contents[row] for row in rows.tolist()]
    _, member = np.unique(groups_of(owners, same), return_inverse=True)
    counts = class_counts(member, np.asarray(labels)[rows])
    kept = np.asarray(splits, dtype=object).copy()
    # Another draw than the one that made the split, so that a share does not continue it.
    chosen = _chosen(counts, drawn_order(member, owners if same is None else same, seed, "share"), share)
    kept[rows[~chosen[member]]] = ""
    return kept


def _chosen(counts: np.ndarray, order: np.ndarray, share: float) -> np.ndarray:
    """Which groups are kept, from their cases by class, the last column counting all."""
    rarity = np.append(np.argsort(counts[:, :-1].sum(axis=0), kind="stable"), counts.shape[1] - 1)
    # Of each group the first class by rarity that it has; what has no label is a stratum of its own.
    stratum = (counts[:, rarity] > 0).argmax(axis=1)
    chosen = np.zeros(len(counts), dtype=bool)
    for one in np.unique(stratum):
        among = order[stratum[order] == one]
        cases = counts[among, -1]
        before = np.cumsum(cases) - cases
        # A hair less: 0.1 as a float times ten cases must not reach into the second.
        chosen[among[before < share * cases.sum() - 1e-9]] = True
    return chosen
