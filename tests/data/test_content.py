"""Equal pixels have equal names, whatever stores them."""

import numpy as np
import pytest

from medcnn.data.content import content_digest


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.int32, np.int64, np.float32, np.float64])
def test_the_type_that_stores_the_values_leaves_no_trace(kind: type) -> None:
    values = np.arange(12).reshape(3, 4)
    assert content_digest(values.astype(kind)) == content_digest(values.astype(np.uint8))


def test_other_values_another_shape_or_a_fraction_give_another_digest() -> None:
    values = np.arange(12).reshape(3, 4)
    other = values.copy()
    other[0, 0] = 5
    digests = {content_digest(each) for each in (values, other, values.reshape(4, 3), values + 0.5, values - 300)}
    assert len(digests) == 5


def test_a_view_has_the_digest_of_its_copy() -> None:
    values = np.arange(24).reshape(4, 6)[::2, ::-1]
    assert content_digest(values) == content_digest(values.copy())
