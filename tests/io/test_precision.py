"""Units of decimal strings, by a law and by hand."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcnn.io.precision import finest, rounding_along, unit_of


@given(st.decimals(allow_nan=False, allow_infinity=False, places=None, min_value=-1e6, max_value=1e6))
def test_the_unit_of_a_decimal_is_its_exponent(number: Decimal) -> None:
    assert unit_of(str(number)) == pytest.approx(10.0 ** number.as_tuple().exponent, rel=1e-9)  # type: ignore[operator]


def test_what_is_no_decimal_has_no_unit() -> None:
    assert [unit_of(one) for one in ("", "a", "1,5", "nan")] == [0, 0, 0, 0]
    assert finest([]) == 0


def test_rounding_moves_a_position_by_half_a_unit_per_axis() -> None:
    moved = rounding_along(np.array([0.6, 0.0, 0.8]), [(0.1, 1.0, 0.01), ()])
    assert moved == pytest.approx([0.5 * (0.06 + 0.008), 0.0])
