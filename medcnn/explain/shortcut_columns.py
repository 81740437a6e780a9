"""Does the score follow a column, such as the scanner or the site, among cases of equal truth?"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from medcnn.explain.influence import Figure, auroc_of
from medcnn.explain.looks import Scale, Shortcut, look
from medcnn.metrics.by_patient import Owners
from medcnn.metrics.estimate import NAN

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
MARGIN = 0.05  # of the AUC away from 0.5, below which nothing is flagged
PAIRS = Scale(
    "share of pairs of equal truth in which the case with this value scores higher; 0.5 is none",
    MARGIN, f"{0.5 - MARGIN:.0%} to {0.5 + MARGIN:.0%}", base=0.5, share=True,
)  # fmt: skip
FEWEST = 10  # cases on each side of a comparison
MOST_VALUES = 20  # of one column: more are no groups but names
FOLDS = 5


def column_looks(
    scores: Array, positive: Mask, columns: Mapping[str, Sequence[object]], of: Owners, features: Array | None = None
) -> list[Shortcut]:
    """For each value of each column, the AUC of the score for that value within each truth, the two put together.

    0.5 says that cases of equal truth score alike whatever their value.

    Args:
        scores: ``(n,)``, higher is more suspicious.
        positive: Whether the case has the finding ``(n,)``.
        columns: Name to a value for each case; empty ones (None, NaN, "") are left out.
        of: Whose each case is.
        features: Embeddings ``(n, D)``; how well the column is read off them is told beside.

    Raises:
        ValueError: If a column has not one value for each case.
    """
    looks: list[Shortcut] = []
    for column, given in columns.items():
        if len(given) != len(scores):
            raise ValueError(f"{len(scores)} cases and {len(given)} values of {column}: give one value for each case")
        values = np.array(["" if value is None or value != value else str(value) for value in given])
        counts = Counter(value for value in values.tolist() if value)
        if not 2 <= len(counts) <= MOST_VALUES:
            continue
        told = "" if features is None else _told_by(features, values, of)
        names = sorted(counts)
        # Of two values, one says all.
        named = names[1:] if len(names) == 2 else names
        looks += [
            # What is told of the column as a whole stands once.
            _value_look(scores, positive, column, name, values, of, told if name == named[0] else "")
            for name in named
        ]
    return looks


def readable(features: Array, values: NDArray[np.str_], of: Owners, seed: int = 0) -> float:
    """Balanced accuracy of a linear reading of a column off the embedding, over folds that part patients.

    Args:
        features: ``(n, D)``.
        values: ``(n,)``; "" is left out.
        of: Whose each case is.
        seed: Of the folds.

    Returns:
        NaN where a value has fewer than ten cases or fewer patients than folds.
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    common = [name for name, count in Counter(values.tolist()).items() if name and count >= FEWEST]
    some = np.isin(values, common)
    fewest = min((len(set(of.number[values == name].tolist())) for name in common), default=0)
    if len(common) < 2 or fewest < FOLDS:
        return NAN
    size = min(20, features.shape[1], int(some.sum() * (FOLDS - 1) // FOLDS) - 1)
    reader = make_pipeline(
        StandardScaler(), PCA(size, random_state=seed), LogisticRegression(class_weight="balanced", max_iter=1000)
    )
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    found = cross_val_predict(reader, features[some], values[some], groups=of.number[some], cv=folds)
    return float(balanced_accuracy_score(values[some], found))


def _value_look(
    scores: Array, positive: Mask, column: str, name: str, values: NDArray[np.str_], of: Owners, told: str
) -> Shortcut:
    figure = _within_truth(scores, positive, values == name, values != "")
    about = f"{column} = {name}"
    if not np.isfinite(figure.value):
        sentence = f"For {about} no truth has {FEWEST} cases on either side: not compared.{told}"
    else:
        way = "higher" if figure.value > 0.5 else "lower"
        share = max(figure.value, 1 - figure.value)
        sentence = (
            f"Of two cases of equal truth, the one with {about} scores {way} in {share:.0%} of the pairs "
            f"(50% where the score does not follow {column}).{told}"
        )
    return look(about, figure - 0.5, PAIRS, of, sentence)


def _within_truth(scores: Array, positive: Mask, has: Mask, known: Mask) -> Figure:
    """The AUC of the score for ``has`` within each truth, weighed by the pairs that it stands on."""
    value, influence, pairs = 0.0, np.zeros(len(scores)), 0
    for truth in (True, False):
        some = known & (positive == truth)
        with_it, without = int((some & has).sum()), int((some & ~has).sum())
        if min(with_it, without) < FEWEST:
            continue
        inside = auroc_of(scores[some], has[some])
        weight = with_it * without
        value, pairs = value + weight * inside.value, pairs + weight
        influence[some] += weight * inside.influence
    if not pairs:
        return Figure(NAN, np.full(len(scores), NAN))
    return Figure(value / pairs, influence / pairs)


def _told_by(features: Array, values: NDArray[np.str_], of: Owners) -> str:
    accuracy = readable(features, values, of)
    if not np.isfinite(accuracy):
        return ""
    groups = len(set(values.tolist()) - {""})
    return (
        f" The column can be read off the embedding with a balanced accuracy of {accuracy:.2f} "
        f"(chance {1 / groups:.2f}), which alone is no shortcut."
    )
