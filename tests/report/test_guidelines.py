"""Guidelines have every point of their papers, answers come from people first, and nothing is made up."""

import json
import math
from dataclasses import replace

import pandas as pd
import pytest
import yaml

from medcnn.errors import ReportError
from medcnn.metrics.estimate import Estimate
from medcnn.report.facts import RunFacts
from medcnn.report.guidelines.about import QUESTIONS, about_template, checked_about
from medcnn.report.guidelines.known import ANSWERS, known_answers
from medcnn.report.guidelines.lists import GUIDELINES, checklist, guideline, guidelines_section
from medcnn.report.model_card import model_card
from medcnn.report.page.blocks import Checklist, Facts, Headline, Page, Section, Table, Text
from medcnn.report.page.files import tables_of
from medcnn.report.sections.data_flow import data_section

TRIPOD = (
    "1 2 3a 3b 3c 4 5a 5b 6a 6b 6c 7 8a 8b 8c 9a 9b 9c 10 11 12a 12b 12c 12d 12e 12f 12g 13 14 15 16 17 "
    "18a 18b 18c 18d 18e 18f 19 20a 20b 20c 21 22 23a 23b 24 25 26 27a 27b 27c"
)


def page(**sections: str) -> Page:
    headline = Section("headline", "Headline", [Headline({"AUC": Estimate(0.912, 0.874, 0.941, n=522)})])
    figures = pd.DataFrame({"figure": ["sensitivity"], "value": [Estimate(0.9)]})
    others = [Section(name, title, [Table(name.replace("-", "_"), figures)]) for name, title in sections.items()]
    return Page("Chest", "522 test cases of 309 patients", [headline, *others], patients=309)


def facts(**given: object) -> RunFacts:
    return RunFacts(
        run_id="abc", config={"seed_everything": 7},
        model={"net": "medcnn.nets.resnet.ResNet", "task": "medcnn.tasks.classification.ClassificationTask",
               "parameters": 1234567, "digest": "d" * 64},
        data={"proof": {"patients_shared": 0, "contents_shared": 0, "checked": 5216},
              "splits": {"test": {"cases": 522, "patients": 309, "classes": {"NORMAL": 134, "PNEUMONIA": 388}}}},
        **given,  # type: ignore[arg-type]
    )  # fmt: skip


def test_claim_2024_has_its_44_points_and_tripod_ai_its_52() -> None:
    assert [item["number"] for item in guideline("claim_2024")["items"]] == [str(k) for k in range(1, 45)]
    assert [item["number"] for item in guideline("tripod_ai")["items"]] == TRIPOD.split()


@pytest.mark.parametrize("name", GUIDELINES)
def test_every_point_takes_its_answer_from_somewhere_that_exists(name: str) -> None:
    for item in guideline(name)["items"]:
        unknown = [key for key in item["from"] if key not in QUESTIONS and key not in ANSWERS]
        assert item["from"]
        assert not unknown, f"{item['number']}: {unknown}"


def test_every_word_a_person_may_give_is_asked_for_or_belongs_to_the_card() -> None:
    asked = {key for name in GUIDELINES for item in guideline(name)["items"] for key in item["from"]}
    assert set(QUESTIONS) - asked <= {"title", "not_for", "license", "contact"}


def test_of_nothing_known_nothing_is_claimed() -> None:
    empty = Page("Scores of a table", "10 cases", [])
    answers = known_answers(RunFacts(), empty)
    assert not answers
    for one in guidelines_section(RunFacts(), empty).blocks[1:]:
        assert isinstance(one, Checklist)
        assert one.folded
        files = dict(tables_of(Page("A table", "", [Section("guidelines", "Guidelines", [one])])))
        assert (files[one.name]["answer"] == "not provided").all(), "the file says it as the page does"


def test_counts_and_digests_are_those_of_the_run() -> None:
    told = known_answers(facts(), page(**{"operating-point": "Operating point"}))
    assert told["disjoint"].startswith("Patient and pixel content: 0 patients and 0 contents")
    assert "5,216 cases checked" in told["disjoint"]
    assert told["split_counts"] == "test: 309 patients, 522 cases (134 NORMAL, 388 PNEUMONIA)"
    assert "1,234,567 parameters" in told["architecture"]
    assert told["headline"] == "AUC 0.912 (0.874 to 0.941)"
    assert told["operating_point"] == 'See the section "Operating point".'
    assert "subgroups" not in told, "there is no such section to point to"


def test_a_section_answers_only_where_it_holds_a_figure_that_is_known() -> None:
    unknown = pd.DataFrame({"figure": ["sensitivity"], "value": [Estimate(math.nan, reason="no threshold")]})
    sections = [
        Section("operating-point", "Operating point", [Table("operating_point", unknown)]),
        Section("failures", "Failures", [Text("Errors are not known: there is no call to judge.")]),
        Section("examination", "Examination", [Table("shortcuts", pd.DataFrame({"name": ["border"]}))]),
    ]
    told = known_answers(facts(), replace(page(), sections=sections))
    assert not {"operating_point", "failures", "robustness", "explanation", "uncertainty"} & set(told)
    looked = Section("examination", "Examination", [Table("robustness_strengths", pd.DataFrame({"change": ["blur"]}))])
    assert known_answers(facts(), replace(page(), sections=[looked]))["robustness"] == 'See the section "Examination".'


def test_intervals_are_said_to_take_patients_together_only_where_patients_were_told() -> None:
    assert known_answers(facts(), page())["uncertainty"].endswith("all cases of a patient are taken together.")
    assert "was not told" in known_answers(facts(), replace(page(), patients=None))["uncertainty"]


def test_a_page_of_validation_cases_claims_no_test_on_others() -> None:
    assert known_answers(facts(), page())["internal_test"].startswith("Yes: 522 cases of 309 patients")
    told = known_answers(facts(), replace(page(), split="val"))["internal_test"]
    assert told == (
        "No: the validation cases that chose the model are judged; 522 test cases are kept apart and are not judged on "
        "this page."
    )


def test_where_nothing_told_patients_apart_no_answer_counts_them() -> None:
    splits = {"test": {"cases": 5, "classes": {"a": 5}}}
    data = {"patients_told": False, "splits": splits, "proof": {"contents_shared": 0, "checked": 5}}
    told = known_answers(RunFacts(run_id="r", data=data), page())
    assert told["internal_test"] == "Yes: 5 cases that took no part in training."
    assert told["split_counts"] == "test: 5 cases (5 a)"
    assert told["partition"].startswith("By case, for nothing told the patients apart")
    assert "whether splits share one is not known" in told["disjoint"]
    blocks = data_section(RunFacts(data=data), {}).blocks
    assert (
        next(b for b in blocks if isinstance(b, Facts)).facts["Patients in more than one split"].startswith("not known")
    )
    assert all("patients" not in block.frame for block in blocks if isinstance(block, Table))


def test_what_a_model_is_for_does_not_answer_what_it_means_for_practice() -> None:
    items = {item.number: item.answer for item in checklist("claim_2024", {"intended_use": "Triage."}).items}
    assert (items["3"], items["41"]) == ("Triage.", "")


def test_checklists_are_open_where_a_person_said_something() -> None:
    lists = guidelines_section(facts(about={"intended_use": "Triage."}), page()).blocks[1:]
    assert not any(one.folded for one in lists if isinstance(one, Checklist))


def test_the_card_counts_what_was_taken_out_of_a_split_among_the_excluded() -> None:
    left_out = RunFacts(data={"excluded": {"truncated": 4}, "dropped": {"train": 2}})
    assert model_card(left_out, page())["training_data"]["excluded"] == {"truncated": 4, "taken out of train": 2}


def test_a_run_without_test_cases_does_not_claim_a_test() -> None:
    none = RunFacts(data={"splits": {"test": {"cases": 0}}})
    assert known_answers(none, page())["internal_test"].startswith("No:")


def test_a_persons_words_come_before_those_of_the_run() -> None:
    own = checklist("claim_2024", {"protocol": "On the shelf.", "config_file": "config.yaml"})
    assert next(item.answer for item in own.items if item.number == "42") == "On the shelf. config.yaml"


def test_the_template_reads_back_as_what_was_known() -> None:
    told = {"intended_use": 'Second reader: "never" alone', "license": "CC BY 4.0 \\ none"}
    assert checked_about(yaml.safe_load(about_template(told))) == told
    assert checked_about(yaml.safe_load(about_template())) == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["a"], "expected lines 'key: text'"),
        ({"intended_us": "x"}, "did you mean intended_use?"),
        ({"funding": {"by": "x"}}, "funding holds a dict; expected a text"),
    ],
)
def test_what_is_no_word_about_a_model_is_refused_in_one_line(given: object, said: str) -> None:
    with pytest.raises(ReportError, match=said.replace("?", r"\?")) as caught:
        checked_about(given)
    assert "\n" not in str(caught.value)


def test_the_card_is_json_without_a_number_that_is_none() -> None:
    one = page()
    headline = Headline({"AUC": Estimate(math.nan, reason="one class only")})
    card = model_card(facts(), Page(one.title, one.subtitle, [Section("h", "H", [headline])], warnings=["Few cases."]))
    read = json.loads(json.dumps(card, allow_nan=False))
    assert read["evaluation"]["figures"]["AUC"]["value"] is None
    assert read["evaluation"]["figures"]["AUC"]["reason"] == "one class only"
    assert read["intended_use"]["intended_use"] == "not provided"
    assert read["caveats"]["warnings"] == ["Few cases."]
