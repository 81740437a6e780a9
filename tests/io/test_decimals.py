"""Decimal strings are read, also with a comma, or refused; nothing becomes a default."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcnn.io.decimals import parse_decimal, parse_decimals


@given(st.decimals(-(10**9), 10**9, places=4), st.sampled_from(["", " ", "\0", "  \0"]))
def test_a_comma_reads_as_the_decimal_point(value: Decimal, around: str) -> None:
    point = f"{value:.4f}"
    assert parse_decimal(around + point + around) == float(point)
    assert parse_decimal(around + point.replace(".", ",") + around) == float(point)


NO_NUMBERS = "nan inf -Infinity 1e999 1_0 0x10 1,024 -12,000 1.024,5 1;2 0,5,0,5 ٣ --1 1e ."


@pytest.mark.parametrize("text", [*NO_NUMBERS.split(), "", "1 2"])
def test_what_is_no_single_number_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_decimal(text)


def test_values_are_separated_by_backslashes() -> None:
    assert parse_decimals("0,143\\0,143 ") == [0.143, 0.143]
    assert parse_decimals(" \0") == []
    with pytest.raises(ValueError, match="not a decimal"):
        parse_decimals("1\\")
