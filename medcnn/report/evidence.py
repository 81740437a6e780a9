"""What every section of a classification's page draws from: the judged cases, and figures that several want."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from medcnn.metrics.delong import auroc_interval
from medcnn.metrics.estimate import NAN, Estimate
from medcnn.metrics.rates import rates
from medcnn.metrics.reliability import calibration_figures
from medcnn.report.admission import admit, patients_of
from medcnn.report.facts import RunFacts
from medcnn.report.outcome import Array, Finding, Outcome

#: Findings that get a picture of their own; of more, those with most positive cases.
SHOWN = 4
#: Draws times cases that a bootstrap may take: some seconds at most.
_WORK = 2e7
NO_THRESHOLD = "no threshold is stored"
RATES = ("sensitivity", "specificity", "ppv", "npv", "accuracy", "lr_positive", "lr_negative")


@dataclass(frozen=True)
class Evidence:
    """The cases of a page, after those that cannot be judged were left out.

    Attributes:
        test: The cases that are judged.
        val: The cases that chose threshold and temperature, apart from the judged ones; None where there are none.
        facts: Of the run.
        prevalence: Where the model is to be used, in (0, 1); None where nobody said.
        level: Coverage of the intervals.
        warnings: For the top of the page.
        counts: What happened to how many of the judged cases.
    """

    test: Outcome
    val: Outcome | None
    facts: RunFacts
    prevalence: float | None = None
    level: float = 0.95
    warnings: Sequence[str] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def findings(self) -> list[Finding]:
        """The questions that are judged."""
        return self.test.findings()

    @cached_property
    def chosen_on(self) -> dict[str, Finding]:
        """The same questions put to the validation cases, by name; empty where there are none."""
        return {} if self.val is None else {finding.name: finding for finding in self.val.findings()}

    @cached_property
    def shown(self) -> list[Finding]:
        """The findings that get pictures of their own, in the order of the classes."""
        most = sorted(self.findings, key=lambda finding: -int(finding.positive.sum()))[:SHOWN]
        names = {finding.name for finding in most}
        return [finding for finding in self.findings if finding.name in names]

    @cached_property
    def aurocs(self) -> dict[str, Estimate]:
        """AUROC of each finding."""
        return {f.name: auroc_interval(f.scores, f.positive, f.patients, self.level) for f in self.findings}

    @cached_property
    def rates(self) -> dict[str, dict[str, Estimate]]:
        """Sensitivity, specificity and so on of each finding, as it was called."""
        return {finding.name: rates_of(finding, self.level) for finding in self.findings}

    @cached_property
    def rates_where_chosen(self) -> dict[str, dict[str, Estimate]]:
        """The same of the validation cases, by finding; empty where there are none."""
        return {name: rates_of(finding, self.level) for name, finding in self.chosen_on.items()}

    @cached_property
    def calibration(self) -> dict[str, dict[str, Estimate]]:
        """Calibration of each finding, in single figures."""
        return {f.name: calibration_of(f.scores, f) for f in self.findings}

    @property
    def draws(self) -> int:
        """Draws of a bootstrap: 2,000, fewer where there are so many cases that fewer suffice."""
        return bounded_draws(len(self.test.cases))

    @property
    def alone(self) -> bool:
        """Whether the judged cases also chose the model."""
        return self.test.split != "test"

    @property
    def loose(self) -> bool:
        """Whether the cases are those of a table that belongs to no run: nobody knows what part they had in a model."""
        return not self.facts.run_id and not self.alone

    @property
    def at(self) -> str:
        """What made the calls, as it stands in a sentence."""
        if self.test.called_by == "given":
            return f"at the threshold of {next(iter(self.test.thresholds.values())):g} that was given"
        return "as called in the table" if self.test.called_by == "table" and self.loose else "at the stored threshold"

    @property
    def of(self) -> str:
        """What the judged cases are called in a sentence."""
        if self.loose:
            return "cases of the table"
        return {"test": "test cases", "val": "validation cases"}.get(self.test.split, f"cases of {self.test.split}")

    @property
    def patients(self) -> int:
        """Patients behind the judged cases."""
        return patients_of(self.test.owners, len(self.test.cases))


def gather(
    test: Outcome, val: Outcome | None, facts: RunFacts, prevalence: float | None = None, level: float = 0.95
) -> Evidence:
    """Admit the cases, and collect what must be said before anything else.

    Raises:
        ReportError: A case stands twice with different rows.
        ValueError: A prevalence that is no share above 0 and below 1.
    """
    if prevalence is not None and not 0 < prevalence < 1:
        raise ValueError(f"the prevalence is {prevalence}; give a share above 0 and below 1")
    admitted, warnings = admit(test), []
    if test.split != "test":
        warnings.append(
            "These validation cases also chose the model, its threshold and its temperature: figures of these cases "
            "tend to flatter, and are no evidence of how the model does on new ones."
        )
    chosen = None if val is None or val is test or not len(val.cases) else admit(val).outcome
    return Evidence(
        admitted.outcome, chosen, facts, prevalence, level, [*warnings, *admitted.warnings], admitted.counts
    )


def rates_of(finding: Finding, level: float) -> dict[str, Estimate]:
    """The rates of a finding as it was called; not known where nothing says when to call it."""
    if finding.called is None:
        return dict.fromkeys(RATES, Estimate(NAN, n=len(finding.scores), reason=NO_THRESHOLD, level=level))
    return rates(finding.called, finding.positive, finding.patients, level)


def calibration_of(probabilities: Array, finding: Finding) -> dict[str, Estimate]:
    """Calibration of probabilities ``(m,)`` given for the cases of a finding."""
    draws = bounded_draws(len(probabilities), most=1000, least=100)
    return calibration_figures(probabilities, finding.positive, finding.patients, draws=draws)


def bounded_draws(cases: int, most: int = 2000, least: int = 200) -> int:
    """Draws of a bootstrap that take some seconds at most."""
    return int(min(max(_WORK / max(cases, 1), least), most))


def estimate_table(figures: Mapping[tuple[str, str], Estimate], several: bool) -> pd.DataFrame:
    """One row a figure with all that is known of it; of several findings one row each, and a column a figure.

    Args:
        figures: Finding and name of the figure, to the figure.
        several: Whether there are several findings.
    """
    if several:
        rows: dict[str, dict[str, object]] = {}
        for (finding, name), figure in figures.items():
            rows.setdefault(finding, {"finding": finding})[name] = figure
        return pd.DataFrame(list(rows.values()))
    return pd.DataFrame(
        [
            {"figure": name, "value": figure, "cases": figure.n, "patients": figure.patients, "method": figure.method}
            for (_, name), figure in figures.items()
        ]
    )


def methods(figures: Mapping[tuple[str, str], Estimate]) -> str:
    """How the intervals were made, in a sentence, for a table that has no room to say it in each row."""
    found: dict[str, list[str]] = {}
    for (_, name), figure in figures.items():
        if figure.method and name not in found.setdefault(figure.method, []):
            found[figure.method].append(name)
    return "Intervals: " + "; ".join(f"{method} ({', '.join(names)})" for method, names in found.items()) + "."


def told(estimate: Estimate) -> str:
    """An estimate in a sentence, with its reason where it is not known."""
    why = f" ({estimate.reason})" if math.isnan(estimate.value) and estimate.reason else ""
    return f"{estimate}{why}"
