"""Names from strangers' files do nothing to a terminal."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from medcnn.printable import printable


@given(st.text(st.characters(codec=None)))
def test_what_is_printed_holds_no_hidden_character(text: str) -> None:
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in printable(text))


@given(st.binary())
def test_any_file_name_can_be_printed_and_encoded(name: bytes) -> None:
    printable(name).encode("utf-8")


def test_escapes_are_as_python_writes_them() -> None:
    assert printable(b"a\x1b]0;\xff\x9b") == "a\\x1b]0;\\xff\\x9b"
    assert printable("a\u202eb\u2028c\x85") == "a\\u202eb\\u2028c\\x85"
    assert printable("ä 山 é") == "ä 山 é"
