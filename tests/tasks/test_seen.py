"""What a model was trained on, over all sessions."""

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcnn.errors import LeakError
from medcnn.tasks.seen import Seen, refuse_seen


def data(splits: dict[str, str], patients: dict[str, str] | None = None, **settings: Any) -> SimpleNamespace:
    cases = pd.DataFrame({"case": [f"c{name}" for name in splits], "split": list(splits.values())})
    owners = [(patients or {}).get(name, "") for name in splits]
    return SimpleNamespace(cases=cases, seen_names=list(splits), seen_patients=owners, hparams=settings)


names = st.frozensets(st.sampled_from("abcdefgh")).map(lambda found: tuple(sorted(found)))


@given(names, names, names)
def test_sessions_are_added_in_any_order(one: tuple[str, ...], two: tuple[str, ...], three: tuple[str, ...]) -> None:
    a, b, c = Seen(one, three), Seen(two, one), Seen(three, two)
    assert a.joined(b).joined(c) == c.joined(a).joined(b) == a.joined(b.joined(c))
    assert a.joined(a) == a
    assert set(one) <= set(a.joined(b).cases)


def test_only_training_cases_and_known_patients_are_recorded() -> None:
    found = Seen.in_training(data({"a": "train", "b": "train", "c": "val", "d": ""}, {"a": "P", "c": "Q"}))
    assert found == Seen(("a", "b"), ("P",))
    assert Seen.in_training(object()) == Seen()


def test_a_case_counts_once_as_itself_or_by_its_patient() -> None:
    cohort = data(dict.fromkeys("abcd", "test") | {"e": "train"}, {"a": "P", "b": "P", "c": "Q"})
    found = Seen(("a", "e"), ("P",)).overlap(cohort, "test")
    assert tuple(found) == (4, 1, 1)
    assert found.describe("test") == "1 of the 4 test cases were trained on, and the patients of 1 others were"
    assert not Seen(("x",), ("R",)).overlap(cohort, "test")


def test_resuming_on_another_split_names_what_changed() -> None:
    cohort = data({"a": "val", "b": "test", "c": "train"}, seed=1, fractions=(0.2, 0.2))
    with pytest.raises(LeakError, match=r"1 of the 1 validation cases.*seed 0, now 1\): resume") as caught:
        refuse_seen(Seen(("a",)), cohort, {"seed": 0, "fractions": [0.2, 0.2]})
    assert "fractions" not in str(caught.value)
    with pytest.raises(LeakError, match="the cohort has other cases or patients now"):
        refuse_seen(Seen(("b",)), cohort, {"seed": 1, "fractions": [0.2, 0.2]})
    refuse_seen(Seen(("c",)), cohort, {"seed": 0})
