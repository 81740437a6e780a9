"""Labels of a column: spellings, blanks and the positive class."""

import unicodedata

import pandas as pd
import pytest

from medcnn.errors import ConfigError, ManifestError
from medcnn.io.classes import labels
from medcnn.positive import EITHER


def column(*values: str) -> "pd.Series[str]":
    return pd.Series(values, name="label", dtype=object)


@pytest.mark.parametrize("order", [1, -1])
def test_the_finding_is_the_second_class_in_any_order(order: int) -> None:
    numbers, names, _ = labels(column(*["abnormal", "normal"][::order]), None)
    assert names == ("normal", "abnormal")
    assert numbers.tolist() == [1, 0][::order]
    numbers, names, _ = labels(column("virus", "bacteria"), None, "bacteria")
    assert (names, numbers.tolist()) == (("virus", "bacteria"), [0, 1])
    with pytest.raises(ConfigError, match=r"--data\.init_args\.positive"):
        labels(column("virus", "bacteria"), None)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["yes", "Yes", "YES", "y", "no", "n"], ["yes, Yes, YES, y", "no, n", "2 in place of 6"]),
        (["Normal", "normal", "ill"], ["Normal, normal"]),
        (["1", "0", "yes", "no"], ["1, yes", "0, no"]),
        (["lung_opacity", "lung opacity", "Lung-Opacity", "normal"], ["lung_opacity, lung opacity, Lung-Opacity"]),
        (["ＡＤ", "AD", "CN"], [r"'\uff21\uff24'"]),
        (["pos", "positive", "neg"], ["pos, positive"]),
    ],
)
def test_spellings_of_one_class_are_named_with_the_fix(values: list[str], words: list[str]) -> None:
    with pytest.raises(ManifestError) as caught:
        labels(column(*values), None)
    assert all(word in str(caught.value) for word in words)
    assert "write each alike" in str(caught.value)
    assert "spellings of one class" in " ".join(labels(column(*values), None, EITHER)[2])
    assert len(labels(column(*values), sorted(set(values)), None)[1]) == len(set(values))


def test_blanks_and_forms_of_unicode_are_no_spellings() -> None:
    composed = "\u00d6dem"
    values = [
        composed,
        unicodedata.normalize("NFD", composed),
        "kein \u00d6dem",
        "kein\u00a0 \u00d6dem",
        "kein \u00d6dem",
    ]
    numbers, names, notes = labels(column(*values), None)
    assert (names, numbers.tolist(), notes) == (("kein Ödem", "Ödem"), [1, 1, 0, 0, 0], ())


def test_a_class_may_be_called_none() -> None:
    numbers, names, notes = labels(column("None", "mild", "severe", "None", ""), None)
    assert (names, numbers.tolist()) == (("None", "mild", "severe"), [0, 1, 2, 0, -1])
    assert "1 of 5 cases have no label in column label (blank 1)" in notes
    assert any("2 cases of column label have the label None, which counts as a class" in note for note in notes)
    assert labels(column("None", "effusion"), None)[1] == ("None", "effusion")


def test_among_numbers_a_word_for_blank_is_blank_and_counted() -> None:
    numbers, names, notes = labels(column("0", "1.0", "NA", "nan", "-1"), None)
    assert (names, numbers.tolist()) == (("0", "1"), [0, 1, -1, -1, -1])
    assert notes[0].startswith("3 of 5 cases have no label")


def test_minus_one_against_one_is_the_negative_class() -> None:
    numbers, names, notes = labels(column("1", "-1", "-1.0", ""), None)
    assert (names, numbers.tolist()) == (("-1", "1"), [1, 0, 0, -1])
    assert len(notes) == 1


def test_a_given_order_that_contradicts_the_names_is_noted() -> None:
    numbers, names, notes = labels(column("normal", "1", "0"), ["abnormal", "normal"])
    assert (names, numbers.tolist()) == (("abnormal", "normal"), [1, 1, 0])
    assert "normal second, so it is the positive class, and not abnormal" in notes[0]
    # The numbers count in the order given, whichever class is the positive one.
    numbers, names, _ = labels(column("normal", "1", "0"), ["abnormal", "normal"], "abnormal")
    assert (names, numbers.tolist()) == (("normal", "abnormal"), [0, 0, 1])


def test_where_names_are_numbers_no_other_number_is_a_class() -> None:
    assert labels(column("1", "2"), ["1", "2"])[0].tolist() == [0, 1]
    with pytest.raises(ManifestError, match="found '0' in row 3"):
        labels(column("1", "0"), ["1", "2"])


def test_a_column_of_measurements_is_no_column_of_classes() -> None:
    values = [f"{number / 7:.3f}" for number in range(60)]
    with pytest.raises(ManifestError, match="60 different values in 60 cases"):
        labels(column(*values), None)
    assert len(labels(column(*(str(number % 21) for number in range(60))), None)[1]) == 21
