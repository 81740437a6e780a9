"""What several cases of one patient do to an interval: patients are drawn from a population, not their cases."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]


class Owners(NamedTuple):
    """Whose each case is.

    Attributes:
        number: Number of its patient, from 0, for each case, int64 ``(n,)``.
        patients: How many there are.
    """

    number: NDArray[np.int64]
    patients: int

    @property
    def several(self) -> bool:
        """Whether a patient has more than one case."""
        return self.patients < len(self.number)

    def sums(self, values: NDArray[np.bool_] | Array) -> Array:
        """The sum of ``values`` ``(n,)`` over the cases of each patient, ``(patients,)``."""
        return np.bincount(self.number, weights=values, minlength=self.patients).astype(np.float64, copy=False)

    def having(self, some: NDArray[np.bool_]) -> int:
        """How many patients have a case among ``some`` ``(n,)``."""
        if not self.several:
            return int(np.count_nonzero(some))
        return int(np.count_nonzero(np.bincount(self.number[some], minlength=self.patients)))

    def among(self, some: NDArray[np.bool_]) -> "Owners":
        """The owners of some cases alone, numbered anew."""
        if not self.several:
            return owners(None, int(np.count_nonzero(some)))
        left, number = np.unique(self.number[some], return_inverse=True)
        return Owners(number, len(left))


def owners(patients: Sequence[object] | None, cases: int) -> Owners:
    """Number the patients from 0.

    Args:
        patients: Whose each case is ``(n,)``; None: every case is its own patient. Cases without a name (None, NaN)
            count as one patient, which can only widen an interval.
        cases: n.

    Raises:
        ValueError: If there is not one patient a case.
    """
    if patients is None:
        return Owners(np.arange(cases), cases)
    if len(patients) != cases:
        raise ValueError(f"{cases} cases and {len(patients)} patients: give one patient for each case")
    if cases and isinstance(patients[0], int) and (numbered := _numbered(np.asarray(patients))):
        return numbered
    numbers: dict[object, int] = {}
    # NaN alone differs from itself.
    named = (name if name == name else None for name in patients)
    number = np.fromiter((numbers.setdefault(name, len(numbers)) for name in named), np.int64, cases)
    return Owners(number, len(numbers))


def _numbered(given: NDArray[Any]) -> Owners | None:
    """The same numbers without gaps; None where they are none, or far apart. A report asks a hundred times."""
    if given.dtype.kind not in "iu" or given.min() < 0 or given.max() > 8 * len(given):
        return None
    present = np.zeros(int(given.max()) + 1, dtype=bool)
    present[given] = True
    return Owners((np.cumsum(present) - 1)[given], int(present.sum()))


def quantile(level: float, freedom: float = np.inf) -> float:
    """Standard errors to either side: Student's t, which is the normal one where ``freedom`` is infinite.

    Raises:
        ValueError: A level outside (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"the level of the interval is {level}; give a share between 0 and 1, like 0.95")
    return float(stats.t.ppf((1 + level) / 2, freedom))


def covariances(shares: Array, positive: NDArray[np.bool_], of: Owners) -> tuple[Array, Array]:
    """Covariances of figures that are sums over patients, some through positive cases and some through negative ones.

    Args:
        shares: What each patient adds to each figure through its positives and its negatives ``(k, 2, patients)``; each
            row sums to 0.
        positive: Whether the case has the finding ``(n,)``; at least two patients on either side.
        of: Whose each case is.

    Returns:
        Through each side ``(2, k, k)``, and through patients that have cases on both ``(k, k)``.

    References:
        Obuchowski, 1997, doi:10.2307/2533958
    """
    patients = np.array([of.having(positive), of.having(~positive)], dtype=np.float64)
    alone = np.einsum("asg,bsg->sab", shares, shares) * (patients / (patients - 1))[:, None, None]
    across = shares[:, 0] @ shares[:, 1].T * (of.patients / (of.patients - 1))
    return alone, across + across.T


def spread(shares: Array, positive: NDArray[np.bool_], of: Owners) -> tuple[float, float]:
    """Standard error of one figure ``(2, patients)``, as ``covariances`` says, and Welch's degrees of freedom."""
    alone, joint = covariances(shares[None], positive, of)
    variances = alone.ravel()
    patients = np.array([of.having(positive), of.having(~positive)], dtype=np.float64)
    weighed = float((variances**2 / (patients - 1)).sum())
    freedom = float(variances.sum() ** 2) / weighed if weighed else float(patients.min() - 1)
    variance = float(variances.sum() + joint.sum())
    # What rounding leaves of a zero is no spread.
    return math.sqrt(variance) if variance > max(1e-13 * variances.sum(), 1e-30) else 0.0, freedom
