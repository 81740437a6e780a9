"""What only people know of a model: what it is for, whom it was made from, who answers for it. Nothing is guessed."""

import difflib
from collections.abc import Mapping
from typing import Any

from medcnn.errors import ReportError

#: Key to the question it answers. The file a person writes has these keys, each with a sentence or a few.
QUESTIONS: dict[str, str] = {
    "title": "What the model is called.",
    "intended_use": "What it is for, at which place of which pathway.",
    "not_for": "What it must not be used for.",
    "users": "Who uses it.",
    "population": "For which patients.",
    "background": "The clinical background, and what exists already.",
    "objectives": "Aims of the study, and hypotheses if any.",
    "goal": "What the study was to achieve: a new model, a feasibility study, a comparison.",
    "design": "Prospective or retrospective.",
    "data_sources": "Where the images and labels come from, and whom they stand for.",
    "dates": "From when to when they were collected.",
    "setting": "In which setting, at how many centers, where.",
    "eligibility": "Who was eligible, who was not.",
    "subsets": "Whether parts of the data or images were selected.",
    "treatment": "Which treatments patients had before the image, if it matters.",
    "acquisition": "Modality, devices, protocol.",
    "deidentification": "How and by whom the data were de-identified.",
    "missing_data": "What was done about missing data.",
    "characteristics": "Age, sex and disease of the patients.",
    "inequalities": "Which inequalities in health are known between groups of these patients.",
    "reference_standard": "How the truth was established.",
    "reference_rationale": "Why this reference standard.",
    "annotators": "Who annotated, with which qualification.",
    "test_annotation": "How the test set was annotated.",
    "reader_agreement": "How far readers agree with each other and with themselves.",
    "blinding": "What the annotators could not see.",
    "predictors": "What besides the image goes into the model, and why.",
    "predictor_assessors": "Who judged what goes in, if somebody had to.",
    "sample_size": "How the numbers were arrived at.",
    "external_test": "On which data of another source it was tested, and with which result.",
    "data_differences": "How the data of development and evaluation differ.",
    "fairness": "What was done for fairness.",
    "updating": "Whether the model was changed after its evaluation.",
    "interpretation": "What the results mean.",
    "limitations": "What the study cannot say.",
    "implications": "What it means for practice.",
    "input_quality": "What is done about poor or missing images where the model is used.",
    "expertise": "Which expertise users need.",
    "next_steps": "What should be examined next.",
    "ethics": "Who approved the study; consent or its waiver.",
    "registration": "Where the study is registered, or that it is not.",
    "protocol": "Where the protocol is, or that there is none.",
    "availability": "Whether data, model and software can be had, and where.",
    "code": "Where the code of the analysis is.",
    "involvement": "How patients and the public took part.",
    "funding": "Who funded it, in which role.",
    "conflicts": "Which interests could conflict.",
    "license": "Under which license the model is given.",
    "contact": "Whom to ask.",
}
_HEAD = (
    "# What only you know of this model. Fill in what you can, leave the rest empty: the report says\n"
    "# \"not provided\" there. Then: medcnn report RUN --about this_file.yaml\n"
)  # fmt: skip


def checked_about(given: Any) -> dict[str, str]:
    """What a person wrote, by key; empty entries are left out.

    Args:
        given: What the file held.

    Raises:
        ReportError: It is no mapping of known keys to texts.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ReportError(f"what is told about the model is a {type(given).__name__}; expected lines 'key: text'")
    found = {}
    for key, value in given.items():
        if key not in QUESTIONS:
            near = difflib.get_close_matches(str(key), QUESTIONS, n=1)
            hint = f"did you mean {near[0]}?" if near else "about.yaml beside each page lists what is asked"
            raise ReportError(f"nothing about a model is called {str(key)[:60]!r}; {hint}")
        if isinstance(value, Mapping | list):
            raise ReportError(f"{key} holds a {type(value).__name__}; expected a text")
        if value is not None and (text := " ".join(str(value).split())):
            found[key] = text
    return found


def about_template(given: Mapping[str, str] | None = None) -> str:
    """A YAML file with every key, its question above it, and what is known already."""
    told = given or {}
    lines = [f"# {question}\n{key}: {_quoted(told.get(key, ''))}\n" for key, question in QUESTIONS.items()]
    return _HEAD + "\n" + "\n".join(lines)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' if text else ""
