"""No path, account or machine gets through, and nothing else is touched."""

import getpass
import socket
from pathlib import Path, PureWindowsPath

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medcnn.tracking import scrub as scrubbing
from medcnn.tracking.scrub import LOCAL, PLACE_KEYS, scrub, scrub_text, scrub_yaml

SECRET = "DOE_JOHN"
quiet = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
words = st.text("abcXYZ019_-. ,^()", min_size=1, max_size=8)


def holds(value: object, secret: str) -> bool:
    if isinstance(value, dict):
        return any(holds(name, secret) or holds(inner, secret) for name, inner in value.items())
    if isinstance(value, list):
        return any(holds(inner, secret) for inner in value)
    return secret in str(value)


@quiet
@given(
    st.lists(words, min_size=1, max_size=3), words, st.sampled_from(["", "read ", "source=", "in '", "[", "(", "a: "])
)
def test_an_absolute_path_in_running_text_goes_whatever_its_folders_are_called(
    folders: list[str], name: str, before: str
) -> None:
    path = "/srv/" + "/".join([*folders, SECRET, name])
    assert not holds(scrub_text(before + path), SECRET)


@quiet
@given(st.sampled_from([*sorted(PLACE_KEYS), "cache_dir", "ckpt_path", "key_file"]), words, st.integers(0, 3))
def test_a_value_under_the_name_of_a_place_goes_however_deep_and_whatever_it_looks_like(
    key: str, name: str, depth: int
) -> None:
    value: object = {key: [f"{name}{SECRET}", f"{SECRET}/{name}"]}
    for _ in range(depth):
        value = {"init_args": [value]}
    assert not holds(scrub(value), SECRET)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words | words.map(lambda w: f"/srv/{w}"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(words | st.sampled_from(["path", "a"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@quiet
@given(plain)
def test_scrubbing_twice_changes_nothing_more(value: object) -> None:
    assert scrub(scrub(value)) == scrub(value)


@pytest.mark.parametrize("text", [
    "medcnn.transforms.intensity.PercentileNormalized", "val/auroc", "runs:/0123abc", "models:/chest@champion",
    "models:/chest/3", "column:patient", "pattern:(person\\d+)_", "0.5", "max", "1/2", "16-mixed", "torch.optim.AdamW",
    "https://example.org/paper", "best", "{epoch}-{val/auroc}", "and/or", "a / b",
])  # fmt: skip
def test_what_a_reader_needs_stays(text: str) -> None:
    assert scrub_text(text) == text
    assert scrub({"init_args": text}) == {"init_args": text}


@pytest.mark.parametrize("text", [
    "/data/DOE_JOHN", "~/DOE_JOHN/x", "~doe/DOE_JOHN", "../DOE_JOHN/x.dcm", "./DOE_JOHN", "C:\\scans\\DOE_JOHN",
    "\\\\server\\DOE_JOHN\\x", "file:///srv/DOE_JOHN", "sqlite:////srv/DOE_JOHN/mlflow.db", "scans/DOE_JOHN/x.dcm",
    "/data/some folder/DOE_JOHN 1960", "read '/data/O'Brien/DOE_JOHN'", "scans/DOE_JOHN.csv",
    "DOE_JOHN@hospital.example.org",
])  # fmt: skip
def test_every_way_to_write_a_place_goes(text: str) -> None:
    assert not holds(scrub_text(text), "JOHN")


def test_a_value_that_is_a_path_goes_whole_even_with_quotes_in_it() -> None:
    assert scrub({"a": '/srv/it\' s "here"/DOE'}) == {"a": LOCAL}


def test_a_model_that_is_named_by_its_run_keeps_the_name() -> None:
    assert scrub({"ckpt_path": "runs:/0123abc"}) == {"ckpt_path": "runs:/0123abc"}
    assert scrub({"ckpt_path": None, "class_path": "a.B"}) == {"ckpt_path": None, "class_path": "a.B"}
    assert scrub([Path("a"), PureWindowsPath("b")]) == [LOCAL, LOCAL]


def test_this_account_and_this_machine_go_as_words_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "jdoe")
    monkeypatch.setattr(socket, "gethostname", lambda: "ct-room-4.hospital.example")
    scrubbing._names.cache_clear()
    try:
        said = scrub_text("jdoe on ct-room-4.hospital.example (ct-room-4): jdoesmith, monai.jdoe")
    finally:
        scrubbing._names.cache_clear()
    assert said == "<person> on <host> (<host>): jdoesmith, monai.jdoe"


def test_a_yaml_document_is_scrubbed_by_its_keys_and_reads_as_before() -> None:
    text = "data:\n  source: DOE JOHN  # the films of John Doe\n  batch_size: 64\n  patient: column:patient\n"
    scrubbed = scrub_yaml(text)
    assert yaml.safe_load(scrubbed) == {"data": {"source": LOCAL, "batch_size": 64, "patient": "column:patient"}}
    assert "Doe" not in scrubbed
    assert "DOE" not in scrub_yaml("a: [1\nb: /srv/DOE JOHN")
