import numpy as np
import pytest
from pydicom.dataset import Dataset

from medcnn.errors import ReadError
from medcnn.io.lut import lookup_table


def item(descriptor: list[int], data: object, vr: str) -> Dataset:
    entry = Dataset()
    entry.LUTDescriptor = descriptor
    entry.add_new(0x00283006, vr, data)
    return entry


VALUES = np.array([7, 9, 250, 128], np.uint16)


@pytest.mark.parametrize(
    ("data", "vr", "little"),
    [
        (VALUES.astype("<u2").tobytes(), "OW", True),
        (VALUES.astype(">u2").tobytes(), "OW", False),
        (VALUES.tolist(), "US", True),
        (VALUES.astype(np.uint8).tobytes(), "OW", True),  # two entries to a word
        (VALUES.astype(np.uint8).view("<u2").tolist(), "US", True),
        (VALUES.astype(np.uint8).view("<u2").astype(">u2").tobytes(), "OW", False),
    ],
    ids=["words", "big-endian words", "numbers", "bytes", "packed numbers", "packed big-endian words"],
)
def test_a_table_is_read_however_it_is_stored(data: object, vr: str, little: bool) -> None:
    table = lookup_table(item([4, 100, 8], data, vr), signed=False, little=little)
    # By hand: 100 is the first value; below it the first entry, above 103 the last.
    assert table.of(np.array([0, 100, 101, 102, 103, 999])).tolist() == [7, 7, 9, 250, 128, 128]
    assert table.high == 255


def test_eight_bits_in_words_stay_words() -> None:
    table = lookup_table(item([4, 0, 8], VALUES.astype("<u2").tobytes(), "OW"), signed=False, little=True)
    assert table.of(np.arange(4)).tolist() == VALUES.tolist()


def test_a_first_value_of_signed_pixels_may_be_written_unsigned() -> None:
    table = lookup_table(item([4, 65535, 8], VALUES.tolist(), "US"), signed=True, little=True)
    assert table.of(np.array([-2, -1, 0])).tolist() == [7, 7, 9]


def test_a_count_of_zero_means_sixty_five_thousand_five_hundred_and_thirty_six() -> None:
    table = lookup_table(item([0, 0, 16], np.arange(65536, dtype="<u2").tobytes(), "OW"), signed=False, little=True)
    assert table.of(np.array([0, 40000, 65535])).tolist() == [0, 40000, 65535]


def test_entries_above_the_declared_depth_widen_the_range() -> None:
    assert lookup_table(item([4, 0, 8], [0, 1, 2, 4095], "US"), signed=False, little=True).high == 65535


@pytest.mark.parametrize("broken", [item([9, 0, 8], [1, 2], "US"), item([4, 0], [1], "US"), Dataset()])
def test_a_table_that_does_not_fit_its_descriptor_is_refused(broken: Dataset) -> None:
    with pytest.raises(ReadError) as caught:
        lookup_table(broken, signed=False, little=True)
    assert caught.value.code == "bad_header"
