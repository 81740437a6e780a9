"""A checkpoint cannot take more memory than it has bytes: structure, records and tensors are checked before use."""

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medcnn.errors import CheckpointError
from medcnn.tasks.archive import read_checkpoint

GOOD: dict[str, Any] = {
    "state_dict": {"net.weight": torch.arange(300.0).reshape(3, 100), "net.bias": torch.zeros(3, dtype=torch.int64)},
    "hyper_parameters": {"classes": ["a", "b"], "rate": 0.1, "deep": {"x": (1, None, True)}},
    "medcnn": {"version": "1", "trained_on": ["c1", "c2"]},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.save(GOOD, tmp_path / "model.ckpt")
    return tmp_path / "model.ckpt"


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def records(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(path: Path, parts: dict[str, bytes], **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def with_structure(path: Path, change: Callable[[bytes], bytes]) -> Path:
    parts = records(path)
    name = next(name for name in parts if name.endswith("data.pkl"))
    return written(path, parts | {name: change(parts[name])})


def test_what_torch_writes_is_read(path: Path) -> None:
    found = read_checkpoint(path)
    assert torch.equal(found["state_dict"]["net.weight"], GOOD["state_dict"]["net.weight"])
    assert found["hyper_parameters"] == GOOD["hyper_parameters"]


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64, torch.int32, torch.uint8, torch.bool])
def test_every_type_of_number_is_read(kind: torch.dtype, tmp_path: Path) -> None:
    shared = torch.ones(4, 5).to(kind)
    state = {
        "a": shared,
        "tied": shared,
        "transposed": shared.T,
        "part": shared[1:],
        "none": torch.empty(0, dtype=kind),
    }
    torch.save(GOOD | {"state_dict": state}, tmp_path / "model.ckpt")
    found = read_checkpoint(tmp_path / "model.ckpt")["state_dict"]
    assert all(torch.equal(found[name], value) for name, value in state.items())


@pytest.mark.parametrize("count", [10**12, 8 * 10**8, 10**4])
def test_a_number_shown_as_many_is_refused(count: int, tmp_path: Path) -> None:
    state = {"net.extra": torch.zeros(1).expand(count)}
    torch.save(GOOD | {"state_dict": state}, tmp_path / "model.ckpt")
    assert "shows" in refused(tmp_path / "model.ckpt")


def test_windows_that_overlap_are_refused(tmp_path: Path) -> None:
    torch.save(GOOD | {"state_dict": {"x": torch.zeros(999).as_strided((900, 100), (1, 1))}}, tmp_path / "model.ckpt")
    assert "shows" in refused(tmp_path / "model.ckpt")


def test_many_views_of_one_storage_are_refused(tmp_path: Path) -> None:
    one = torch.zeros(250_000)
    state = {f"net.{number}": one.view(500, 500) for number in range(50)}
    torch.save(GOOD | {"state_dict": state}, tmp_path / "model.ckpt")
    assert "weights of 50,000,000" in refused(tmp_path / "model.ckpt")


@pytest.mark.parametrize(
    "tensor", [torch.eye(3).to_sparse(), torch.zeros(10**9, device="meta")], ids=["sparse", "meta"]
)
def test_a_tensor_of_another_kind_is_refused(tensor: torch.Tensor, tmp_path: Path) -> None:
    torch.save(GOOD | {"state_dict": {"x": tensor}}, tmp_path / "model.ckpt")
    refused(tmp_path / "model.ckpt")


class Call:
    """Calls a function of torch or Python with an argument when it is unpickled."""

    def __init__(self, function: Any, argument: Any) -> None:
        self.function, self.argument = function, argument

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        return self.function, (self.argument,)


@pytest.mark.parametrize("function", [bytearray, torch.Tensor, torch.zeros, print], ids=lambda one: one.__name__)
def test_a_call_that_allocates_is_refused_unread(function: Any, tmp_path: Path) -> None:
    torch.save(GOOD | {"x": Call(function, 10**10)}, tmp_path / "model.ckpt")
    assert "would run code" in refused(tmp_path / "model.ckpt")


def test_a_storage_larger_than_its_record_is_refused(path: Path) -> None:
    # torch reads as many numbers as the reference says, wherever the record ends.
    assert "has 65324 numbers" in refused(with_structure(path, lambda text: text.replace(b"M,\x01t", b"M,\xfft")))


def test_a_record_that_is_not_there_is_refused(path: Path) -> None:
    parts = records(path)
    del parts[next(name for name in parts if name.endswith("data/1"))]
    assert "tensor 1 has" in refused(written(path, parts))


def test_a_compressed_record_is_refused(path: Path) -> None:
    assert "compressed" in refused(written(path, records(path), compression=zipfile.ZIP_DEFLATED))


def test_an_archive_within_another_is_refused(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content + content)
    refused(path)
    path.write_bytes(content[:-2] + struct.pack("<H", len(content)) + content)  # a comment that is an archive
    refused(path)


def test_endless_sharing_and_nesting_are_refused(tmp_path: Path) -> None:
    laughs: list[Any] = ["x"] * 9
    for _ in range(12):
        laughs = [laughs] * 9
    torch.save(GOOD | {"x": laughs}, tmp_path / "model.ckpt")
    assert "more than 20,000,000 values" in refused(tmp_path / "model.ckpt")
    cycle: list[Any] = []
    cycle.append(cycle)
    torch.save(GOOD | {"x": cycle}, tmp_path / "model.ckpt")
    assert "nests values" in refused(tmp_path / "model.ckpt")


@pytest.mark.parametrize(
    "step", [b"\x8c\x02os\x8c\x06system\x93", b"cos\nsystem\n", b"(S'ls'\nios\nsystem\n", b"2", b"0"]
)
def test_a_step_that_torch_does_not_write_is_refused(step: bytes, path: Path) -> None:
    assert "nothing was run" in refused(with_structure(path, lambda text: text[:2] + step + text[2:]))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_ends_in_another_exception(data: st.DataObject, path: Path) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged = path.with_name("damaged.ckpt")
    damaged.write_bytes(content[: data.draw(st.integers(1, len(content)))] if data.draw(st.booleans()) else content)
    try:
        found = read_checkpoint(damaged)
    except CheckpointError:
        return
    buffer = io.BytesIO()
    torch.save(found, buffer)
    assert buffer.tell() <= 2 * len(content)


def test_no_pickle_of_plain_data_is_run(path: Path) -> None:
    # Protocol 4 is none that torch.save writes by itself, and a plain pickle is no archive.
    torch.save(GOOD, path, pickle_protocol=4)
    with pytest.raises(CheckpointError):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps({"a": 1}))
    assert "no archive" in refused(path)
