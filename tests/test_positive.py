import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcnn.errors import ConfigError
from medcnn.positive import EITHER, order_classes, positive_of

# Written down from public data sets and tables, the positive one second.
PAIRS = [
    ("normal", "abnormal"), ("NORMAL", "PNEUMONIA"), ("normal", "COVID"), ("negative", "Positive"), ("CN", "AD"),
    ("HC", "MCI"), ("NC", "AD"), ("control", "patient"), ("Controls", "Cases"), ("healthy", "sick"), ("0", "1"),
    ("0.0", "1.0"), ("-1", "1"), ("-", "+"), ("no", "yes"), ("N", "Y"), ("n", "yes"), ("False", "True"), ("f", "t"),
    ("absent", "present"), ("benign", "malignant"), ("normal, benign", "malignant"), ("No Finding", "Finding"),
    ("No_Finding", "Lung Opacity"), ("NoFinding", "Pneumonia"), ("no pneumonia", "pneumonia"), ("non-COVID", "COVID"),
    ("nonCOVID", "COVID"), ("nondemented", "demented"), ("COVID19-neg", "COVID19-pos"), ("TB -", "TB +"),
    ("tumor-free", "tumor"), ("disease free", "disease"), ("None", "effusion"), ("Normal", "Not Normal"),
    ("healthy", "unhealthy"), ("class_0", "class_1"), ("case 0", "case 1"), ("1_normal", "0_abnormal"),
    ("normal lung", "abnormal lung"), ("benign lesion", "malignant lesion"), ("no abnormality", "abnormality"),
    ("effusion absent", "effusion present"), ("clear", "opacity"), ("well", "ill"), ("uninfected", "infected"),
    ("control", "normal pressure hydrocephalus"), ("kein Befund", "Befund"), ("sans fracture", "fracture"),
]  # fmt: skip
UNDECIDED = [
    ("1", "2"), ("AD", "MCI"), ("virus", "bacteria"), ("M", "F"), ("left", "right"), ("AP", "PA"), ("T1", "T2"),
    ("normal", "benign"), ("vessel", "aneurysm"), ("a", "b"), ("low grade", "high grade"), ("2", "3"),
]  # fmt: skip


@pytest.mark.parametrize(("negative", "positive"), PAIRS)
def test_the_positive_class_does_not_depend_on_the_order(negative: str, positive: str) -> None:
    for names in ((negative, positive), (positive, negative)):
        assert positive_of(names) == positive
        assert order_classes(names, None, "--positive") == (negative, positive)


@pytest.mark.parametrize("names", UNDECIDED)
def test_names_without_meaning_are_asked_for(names: tuple[str, str]) -> None:
    for pair in (names, names[::-1]):
        with pytest.raises(ConfigError, match=r"--data\.x") as caught:
            order_classes(pair, None, "--data.x")
        assert all(name in str(caught.value) for name in names)
        assert order_classes(pair, names[0], "--data.x") == (names[1], names[0])
        assert order_classes(pair, EITHER, "--data.x") == pair


@given(st.tuples(st.text(min_size=1, max_size=12), st.text(min_size=1, max_size=12)))
def test_no_order_of_any_names_changes_the_answer(names: tuple[str, str]) -> None:
    assert positive_of(names) == positive_of(names[::-1]) or names[0] == names[1]


def test_of_several_classes_the_normal_one_is_first() -> None:
    assert order_classes(["bacteria", "normal", "virus"], None, "") == ("normal", "bacteria", "virus")
    assert order_classes(["2", "0", "1"], None, "") == ("2", "0", "1")
    with pytest.raises(ConfigError, match="3 classes"):
        order_classes(["a", "b", "c"], "b", "--positive")


def test_a_positive_class_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected one of the classes normal, ill"):
        order_classes(["normal", "ill"], "pneumonia", "--positive")
