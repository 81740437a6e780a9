"""YAML within limits: what PyYAML reads is read alike, and what would take hours or says two things is refused."""

import contextlib
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from medcnn.yaml_reader import MAX_BYTES, YamlError, check_yaml, load_yaml, read_yaml

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(PLAIN)
def test_what_pyyaml_writes_is_read_back(value: object) -> None:
    assert load_yaml(yaml.safe_dump(value)) == value


@given(st.text(max_size=60) | st.text("{}[]&*a!:,-#>|'\"? \n\t<", max_size=60))
def test_no_text_ends_in_another_exception(text: str) -> None:
    with contextlib.suppress(YamlError):
        load_yaml(text)


LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(8)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &a [*a]\n", "line 1: .a refers to a value that is not complete"),
        ("a: &a {b: {c: *a}}\n", "not complete"),
        ("&a\n? *a\n: 1\n", "not complete"),
        (LAUGHS, "more than 200,000 values"),
        ("[" * 60 + "]" * 60, "nested more than 50 levels"),
        ("".join("  " * i + "a:\n" for i in range(60)), "nested more than 50 levels"),
        ("a: 1\nb: 2\na: 3\n", "lines 1 and 3: 'a' is given twice"),
        ("{a: 1, a: 1}", "line 1: 'a' is given twice"),
        ("x:\n  - {b: 1}\n  - {c: 1,\n     c: 2}\n", "lines 3 and 4: 'c' is given twice"),
        ("<<: {a: 1}\n<<: {b: 1}\n", "given twice"),
        ("? [a, b]\n: 1\n", "a key is a list"),
        ("x: !!python/object/apply:os.system [ls]", "tag .* is not allowed"),
        ("x: !!timestamp y", "tag .* is not allowed"),
        ("x: !local y", "tag .* is not allowed"),
        ("a:\n\tb: 1\n", "line 2 is not YAML"),
        ("a: b: c", "line 1 is not YAML"),
        ("a: *nowhere", "not complete"),
        ("a: " + "9" * 5000, "a value cannot be read"),
        ("a: 2026-99-99", "a value cannot be read"),
        ("a: \x00", "not YAML"),
        ("a: \ud800", "a value cannot be read"),
        ("x" * (MAX_BYTES + 1), "more than 2,000,000 bytes"),
    ],
)  # fmt: skip
def test_what_is_beyond_the_limits_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(YamlError, match=said) as caught:
        load_yaml(text, "tiny.yaml")
    assert str(caught.value).startswith("tiny.yaml")
    assert len(str(caught.value).splitlines()) == 1


def test_aliases_and_merges_within_the_limits_are_read() -> None:
    text = "base: &b {lr: 1, k: 2}\none: {<<: *b, lr: 3}\ntwo: [*b, *b]\n"
    assert load_yaml(text) == yaml.safe_load(text)


def test_keys_come_with_their_lines_and_whether_they_have_a_value() -> None:
    keys = check_yaml("data:\n  batch_size:\n  list:\n    - {a: null}\n    - b: ~\nseed: 0\n")
    assert [(key.path, key.line, key.has_value) for key in keys] == [
        ("data", 1, True), ("data.batch_size", 2, False), ("data.list", 3, True), ("data.list.0.a", 4, False),
        ("data.list.1.b", 5, False), ("seed", 6, True),
    ]  # fmt: skip


def test_a_folder_a_pipe_and_bytes_are_no_yaml_files(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("x: caf\xe9".encode("latin1"))
    os.mkfifo(tmp_path / "pipe.yaml")
    for path, said in (
        (tmp_path, "is a folder"),
        (tmp_path / "pipe.yaml", "is not a file"),
        (tmp_path / "gone.yaml", "does not exist"),
        (tmp_path / "latin.yaml", r"not text in UTF-8 \(byte 6\)"),
    ):
        with pytest.raises(YamlError, match=said):
            read_yaml(path)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "windows.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\n")
    assert read_yaml(tmp_path / "windows.yaml") == {"a": 1}
