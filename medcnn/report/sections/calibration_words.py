"""Whether probabilities are right, too low, too high or too sure, in words: what intervals exclude, and no more."""

from collections.abc import Mapping

from medcnn.metrics.estimate import Estimate

Figures = Mapping[str, Estimate]
#: Figure to what it is where the probabilities are right.
RIGHT = {"observed_over_expected": 1.0, "intercept": 0.0, "slope": 1.0}


def fault(figures: Figures) -> str:
    """``are too low (observed over expected 1.11, 1.05 to 1.17)``; "" where no interval excludes what is right."""
    off = {key: figures[key] for key, right in RIGHT.items() if key in figures and _excludes(figures[key], right)}
    said = []
    level = next((key for key in ("observed_over_expected", "intercept") if key in off), "")
    if level:
        way = "low" if off[level].value > RIGHT[level] else "high"
        said.append(f"are too {way} ({_told(level, off[level])})")
    if "slope" in off:
        way = "not sure enough" if off["slope"].value > 1 else "too sure"
        said.append(f"are {way} ({_told('slope', off['slope'])})")
    return " and ".join(said)


def worsened(before: Figures, after: Figures) -> list[str]:
    """Names of what a temperature moved further from right: the intercept, observed over expected."""
    found = []
    for key in ("intercept", "observed_over_expected"):
        right = RIGHT[key]
        if abs(after[key].value - right) > abs(before[key].value - right) and _excludes(after[key], right):
            found.append(_named(key))
    return found


def _excludes(figure: Estimate, right: float) -> bool:
    return figure.low > right or figure.high < right


def _named(key: str) -> str:
    return key.replace("_", " ")


def _told(key: str, figure: Estimate) -> str:
    return f"{_named(key)} {figure.value:.3f}, {figure.low:.3f} to {figure.high:.3f}"
