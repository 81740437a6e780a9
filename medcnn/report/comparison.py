"""Two runs side by side on the cases that both have judged, with the paired tests."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from medcnn.metrics.delong import Comparison, compare_auroc
from medcnn.metrics.paired import PairedShares, Truth, paired_shares
from medcnn.metrics.rates import rates
from medcnn.report.evidence import NO_THRESHOLD, SHOWN, calibration_of
from medcnn.report.facts import TABLE, RunFacts
from medcnn.report.figures.comparison import compared_roc_figure
from medcnn.report.matching import Matched, matched
from medcnn.report.outcome import Finding, Outcome, roc_of
from medcnn.report.page.blocks import Block, Facts, Headline, Page, Picture, Section, Table, Text
from medcnn.report.sections.discrimination import curve_table, thinned
from medcnn.report.sections.identity import made_of

_CALIBRATION = {
    "observed_over_expected": "observed over expected (1 is right)",
    "intercept": "intercept (0 is right)",
    "slope": "slope (1 is right)",
    "brier": "Brier score",
    "ece": "calibration error",
}


def comparison_page(
    first: Outcome, second: Outcome, first_facts: RunFacts, second_facts: RunFacts, level: float = 0.95
) -> Page:
    """A page of two outcomes alone.

    Raises:
        ReportError: As ``comparison_sections``.
    """
    pairs = matched(first, second)
    one, other = _names(first_facts, second_facts)
    return Page(
        title=f"{one} against {other}",
        subtitle=f"{len(pairs.first.cases):,} cases that both have judged",
        sections=_sections(pairs, first_facts, second_facts, level),
        made={f"{name}, {part}": text for name, facts in ((one, first_facts), (other, second_facts))
              for part, text in made_of(facts).items()},
        warnings=pairs.warnings,
    )  # fmt: skip


def comparison_sections(
    first: Outcome, second: Outcome, first_facts: RunFacts, second_facts: RunFacts, level: float = 0.95
) -> list[Section]:
    """The same sections, to be put behind those of the first run.

    Args:
        first: Outcome of the first run.
        second: Outcome of the second run.
        first_facts: Of the first run.
        second_facts: Of the second run.
        level: Coverage of the intervals.

    Raises:
        ReportError: No question or no case in common, or a truth that differs.
    """
    return _sections(matched(first, second), first_facts, second_facts, level)


def _sections(pairs: Matched, first_facts: RunFacts, second_facts: RunFacts, level: float) -> list[Section]:
    names = _names(first_facts, second_facts)
    asked = [
        (one, other) for one in pairs.first.findings() for other in pairs.second.findings() if one.name == other.name
    ]
    return [
        _discrimination(pairs, asked, names, level),
        Section("compared-calls", "Calls compared", _calls(asked, level)),
        Section("compared-calibration", "Calibration compared", [_calibration(asked, names)]),
        Section("compared-configuration", "Configurations compared", _configuration(first_facts, second_facts, names)),
    ]


def _discrimination(
    pairs: Matched, asked: list[tuple[Finding, Finding]], names: tuple[str, str], level: float
) -> Section:
    found = [compare_auroc(one.scores, other.scores, one.positive, one.patients, level) for one, other in asked]
    rows = [
        {"finding": one.name, f"AUROC, {names[0]}": c.first, f"AUROC, {names[1]}": c.second,
         "difference": c.difference, "p": c.p, "method": f"paired, {c.difference.method}"}
        for (one, _), c in zip(asked, found, strict=True)
    ]  # fmt: skip
    counts = {f"Cases {name}": f"{count:,}" for name, count in pairs.counts.items()}
    blocks: list[Block] = [Facts({"First": names[0], "Second": names[1]} | counts)]
    blocks += [Text(words, "warning") for words in pairs.warnings]
    if len(asked) == 1:
        blocks.append(Headline({"AUROC difference": found[0].difference}))
    blocks += [Table("compared_auroc", pd.DataFrame(rows), "First minus second; p of the paired test.", shown=60)]
    blocks += [_roc(asked[place], found[place], place, names) for place in range(min(len(asked), SHOWN))]
    return Section("compared-discrimination", "Discrimination compared", blocks)


def _roc(pair: tuple[Finding, Finding], found: Comparison, place: int, names: tuple[str, str]) -> Picture:
    curves = [thinned(roc_of(finding))._replace(name=name[:24]) for finding, name in zip(pair, names, strict=True)]
    table = curve_table(curves, "false_positive_rate", "sensitivity").rename(columns={"finding": "run"})
    alt = f"ROC of both for {pair[0].name}: AUROC {found.first} and {found.second}."
    figure = compared_roc_figure(curves[0], curves[1], found, f"ROC, {pair[0].name[:40]}")
    return Picture(f"compared_roc_{place + 1}", figure, alt, table)


def _calls(asked: list[tuple[Finding, Finding]], level: float) -> list[Block]:
    rows: list[dict[str, object]] = []
    for one, other in asked:
        if one.called is None or other.called is None:
            return [Text(f"Calls cannot be compared: {NO_THRESHOLD} for {one.name} in one of the two; --threshold "
                         "0.5, or another, would call the cases of both.")]  # fmt: skip
        told = [rates(called, one.positive, one.patients, level) for called in (one.called, other.called)]
        for rate, side in (("sensitivity", one.positive), ("specificity", ~one.positive)):
            found = _paired(one.called == one.positive, other.called == one.positive, side, one.patients, level)
            rows.append(
                {"finding": one.name, "figure": rate, "first": told[0][rate], "second": told[1][rate]}
                | _differences(found)
            )
    caption = "Each as it calls, at its own threshold, on the same cases."
    return [Table("compared_calls", pd.DataFrame(rows), caption, shown=60)]


def _paired(first: Truth, second: Truth, side: Truth, patients: Sequence[int] | None, level: float) -> PairedShares:
    """What two models got right among the cases of one side."""
    own = None if patients is None else np.asarray(patients)[side].tolist()
    return paired_shares(first[side], second[side], own, level)


def _differences(found: PairedShares) -> dict[str, object]:
    return {
        "first minus second": found.difference,
        "right in the first alone": found.first_only,
        "right in the second alone": found.second_only,
        "p": found.p,
        "method": found.method,
    }


def _calibration(asked: list[tuple[Finding, Finding]], names: tuple[str, str]) -> Table:
    rows: list[dict[str, object]] = []
    for one, other in asked:
        told = [calibration_of(finding.scores, finding) for finding in (one, other)]
        rows += [{"finding": one.name, "figure": told_as, names[0]: told[0][key], names[1]: told[1][key]}
                 for key, told_as in _CALIBRATION.items()]  # fmt: skip
    return Table("compared_calibration", pd.DataFrame(rows), "Of the probabilities as they were given out.", shown=60)


def _configuration(first: RunFacts, second: RunFacts, names: tuple[str, str]) -> list[Block]:
    one, other = flat(_setting(first)), flat(_setting(second))
    different = [key for key in {**one, **other} if one.get(key) != other.get(key)]
    if not one and not other:
        return [Text("The configurations are not provided.")]
    if not different:
        return [Text("The configurations are the same.")]
    table = pd.DataFrame({"setting": different, names[0]: [one.get(key, "not set") for key in different],
                          names[1]: [other.get(key, "not set") for key in different]})  # fmt: skip
    return [Table("compared_configuration", table, "Settings that differ; all others are the same.", shown=80)]


def flat(given: Any, key: str = "") -> dict[str, str]:
    """Nested settings as one level: ``model.init_args.net.class_path`` to its value as text."""
    if isinstance(given, Mapping) and given:
        items = given.items()
    elif isinstance(given, (list, tuple)) and any(isinstance(part, (Mapping, list)) for part in given):
        items = enumerate(given)  # type: ignore[assignment]
    else:
        return {key: str(given)} if key else {}
    found: dict[str, str] = {}
    for name, value in items:
        found |= flat(value, f"{key}.{name}" if key else str(name))
    return found


def _setting(facts: RunFacts) -> dict[str, Any]:
    """What decides a training: configuration, data and code."""
    decided = {
        "data digest": facts.data.get("digest"),
        "code": facts.tags.get("git.commit"),
        "temperature": facts.decision.get("temperature"),
        "thresholds": facts.decision.get("thresholds"),
    }
    return {**facts.config, **{name: value for name, value in decided.items() if value}}


def _names(first: RunFacts, second: RunFacts) -> tuple[str, str]:
    loose = [not facts.run_id and facts.name in ("", TABLE) for facts in (first, second)]
    one = "first table" if loose[0] else first.name or first.run_id
    other = "second table" if loose[1] else second.name or second.run_id
    return (one, other) if one != other else (f"{one} (first)", f"{other} (second)")
