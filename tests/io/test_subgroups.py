"""Columns that describe groups are kept; whatever could name a person or a place on a machine is not."""

import pandas as pd
import pytest

from medcnn.io.subgroups import describing_columns


@pytest.mark.parametrize(
    "value",
    ["Dr. House", "Prof Meier", "/mnt/archive/B", "C:\\Users\\bob", "\\\\server\\share", "file:///home/x", "~/scans",
     "siemens/prisma/3", "1.2.840.113619.2.55.3", "Doe^John", "jane@mary.example.org"],
)  # fmt: skip
def test_a_value_that_leads_to_a_person_or_a_machine_takes_its_column_along(value: str) -> None:
    kept, dropped = describing_columns(pd.DataFrame({"source": ["A", "B", value, "A"], "sex": ["F", "M", "F", "M"]}))
    assert list(kept) == ["sex"]
    assert dropped == ("source",)


@pytest.mark.parametrize(
    "name", ["Nachname", "Geburtsdatum", "nom", "apellido", "Versicherungsnummer", "geboren", "referrer", "PatientName"]
)
def test_a_name_of_such_a_column_in_other_languages_is_known(name: str) -> None:
    assert describing_columns(pd.DataFrame({name: ["a", "b"]}))[1] == (name,)


@pytest.mark.parametrize(
    ("name", "values"),
    [("scanner", ["GE/Discovery", "Siemens Prisma", "1.5 T"]), ("sex", ["F", "M"]), ("age", ["4", "71", "33"]),
     ("view", ["PA", "AP", "L/R"]), ("drug", ["a", "b", "none"]), ("nominal", ["x", "y", "x"]),
     ("grade", ["1", "2", "3"]), ("modality", ["DR chest", "MR T1", "MS lesion"])],
)  # fmt: skip
def test_what_describes_a_group_is_kept(name: str, values: list[str]) -> None:
    assert describing_columns(pd.DataFrame({name: values}))[1] == ()
