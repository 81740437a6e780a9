"""What the page cannot say, told from what is known of the run and not from what is usual."""

import math
from collections.abc import Mapping, Sequence

from medcnn.report.admission import FEW
from medcnn.report.evidence import Evidence
from medcnn.report.page.blocks import Section, Text

#: An interval of the AUC wider than this leaves open what the model is worth.
WIDE = 0.1
_ONE_SOURCE = (
    "The cases of this page come from the source that the model was made on: from them, how it does at another "
    "hospital, with another device or at another time is not known."
)
_ELSEWHERE = "That test is no part of this page, and nothing here has checked it."
_UNKNOWN_SOURCE = (
    "A table was judged, not a model: whether its cases come from the source that the model was made on, or from "
    "another, is not known."
)
_UNKNOWN_CHOICES = (
    "How the model was trained and chosen, how many were tried, and whether these cases had a part in it is not known."
)
_CHOSEN = (
    "Validation cases chose the epoch, the temperature and the threshold; the test cases had no part in it as far as "
    "the run knows. How often they were looked at before is not recorded."
)
_NO_DATA = (
    "How the cases were collected, excluded and split is not recorded: that no patient of the training is among them "
    "cannot be shown."
)


def limits_section(evidence: Evidence, found_above: Sequence[str] = ()) -> Section:
    """A sentence for each limit that holds here.

    Args:
        evidence: What is judged.
        found_above: What other sections warned of.
    """
    found = [*_source(evidence), *_numbers(evidence), *_choices(evidence), *_data(evidence), *_calibration(evidence)]
    found += found_above
    return Section("limits", "Limits", [Text(sentence) for sentence in found])


def _source(evidence: Evidence) -> list[str]:
    external = evidence.facts.about.get("external_test")
    told = [f"Test on another source, in the words of its makers: {external}"] if external else []
    if evidence.loose:
        return [_UNKNOWN_SOURCE, *told]
    return (
        [_ONE_SOURCE, *told, _ELSEWHERE] if told else [f"No test on cases of another source is recorded. {_ONE_SOURCE}"]
    )


def _numbers(evidence: Evidence) -> list[str]:
    found = []
    if evidence.test.patients is None and len(evidence.test.cases):
        found.append("Which cases belong to one patient is not told; where some do, the intervals are too narrow.")
    few = [f.name for f in evidence.findings if min(f.positive.sum(), (~f.positive).sum()) < FEW]
    if few:
        found.append(f"There are fewer than {FEW} cases with or without {_listed(few)}.")
    wide = [name for name, e in evidence.aurocs.items() if e.high - e.low > WIDE]
    if wide:
        found.append(
            f"The interval of the AUC of {_listed(wide)} is wider than {WIDE:g}: more cases are needed to tell."
        )
    bare = [name for name, e in evidence.aurocs.items() if math.isnan(e.low)]
    if bare:
        found.append(f"No interval of the AUC could be given for {_listed(bare)}.")
    return found


def _choices(evidence: Evidence) -> list[str]:
    if evidence.loose:
        return [_UNKNOWN_CHOICES]
    given = [
        "The threshold of this page was given with the command: no rule chose it, and the run stored another or none."
    ]
    decision = evidence.facts.decision
    found = given if evidence.test.called_by == "given" else []
    found += ["One training with one seed is judged: how much another seed would change is not told."]
    if evidence.alone:
        found.append("The judged cases chose the epoch, the temperature and the threshold: no figure here is a test.")
    elif decision:
        found.append(_CHOSEN)
    else:
        found.append("No temperature and no threshold are recorded for this model.")
    return found


def _data(evidence: Evidence) -> list[str]:
    data, found = evidence.facts.data, []
    if not data:
        return [_NO_DATA]
    left_out = _total(data.get("excluded"))
    if left_out:
        found.append(f"{left_out:,} images could not be read and are in no figure.")
    odd = _total(data.get("flags"))
    if odd:
        found.append(f"{odd:,} flags were raised on images that were used all the same.")
    return found


def _calibration(evidence: Evidence) -> list[str]:
    why = evidence.facts.decision.get("reasons")
    reason = why.get("temperature") if isinstance(why, Mapping) else None
    found = [f"The probabilities are not calibrated: {reason}."] if reason else []
    if not evidence.facts.decision.get("temperature") and not evidence.loose:
        found.append(
            "No temperature is stored: whether probabilities mean what they say rests on the figures above alone."
        )
    if evidence.prevalence is None:
        found.append("Predictive values hold for the prevalence among these cases, which need not be that of a clinic: "
                     "--prevalence restates them.")  # fmt: skip
    return found


def _total(counts: object) -> int:
    return sum(int(count) for count in counts.values()) if isinstance(counts, Mapping) else 0


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
