from pathlib import Path

import numpy as np
import pytest

from medcnn.errors import ReadError
from medcnn.io.find import REASONS
from medcnn.io.medmnist import read_npz


def six(shape: tuple[int, ...] = (28, 28)) -> dict[str, np.ndarray]:
    arrays = {}
    for split, count in (("train", 5), ("val", 3), ("test", 2)):
        arrays[f"{split}_images"] = np.random.default_rng(count).integers(0, 256, (count, *shape), np.uint8)
        arrays[f"{split}_labels"] = np.arange(count).reshape(-1, 1) % 2
    return arrays


def refused(path: Path) -> ReadError:
    with pytest.raises(ReadError) as caught:
        read_npz(path)
    assert str(path.parent) not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 3), (8, 8, 8)], ids=["gray", "color", "volume"])
def test_the_six_arrays_come_back(tmp_path: Path, shape: tuple[int, ...]) -> None:
    arrays = six(shape)
    np.savez_compressed(tmp_path / "a.npz", **arrays, extra=np.zeros(2))
    found = read_npz(tmp_path / "a.npz")
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[key], arrays[key]) for key in arrays)


def test_missing_arrays_are_named(tmp_path: Path) -> None:
    arrays = six()
    del arrays["val_images"], arrays["test_labels"]
    np.savez(tmp_path / "a.npz", **arrays)
    assert "val_images, test_labels missing" in str(refused(tmp_path / "a.npz"))


def test_images_without_as_many_labels_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **(six() | {"val_labels": np.zeros((4, 1), int)}))
    assert "val has 3 images and 4 labels" in str(refused(tmp_path / "a.npz"))


@pytest.mark.parametrize("bad", [np.zeros(5), np.array(["x"] * 5), np.zeros((5, 1, 1, 1, 1, 1))])
def test_what_is_no_image_is_refused(tmp_path: Path, bad: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", **(six() | {"train_images": bad}))
    assert refused(tmp_path / "a.npz").code == "bad_header"


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "sprung",)  # type: ignore[return-value]

    np.savez(tmp_path / "a.npz", **(six() | {"train_images": np.array([Trap()], object)}))
    assert refused(tmp_path / "a.npz").code == "decode_failed"
    assert not (tmp_path / "sprung").exists()


def test_a_damaged_archive_is_refused_in_one_line(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", **six())
    data = (tmp_path / "a.npz").read_bytes()
    for end in range(0, len(data), len(data) // 40):
        (tmp_path / "b.npz").write_bytes(data[:end])
        assert "\n" not in str(refused(tmp_path / "b.npz"))
    codes: set[str] = set()
    chance = np.random.default_rng(0)
    for _ in range(60):
        hurt = bytearray(data)
        hurt[int(chance.integers(len(hurt)))] ^= 1 << int(chance.integers(8))
        (tmp_path / "b.npz").write_bytes(hurt)
        try:
            read_npz(tmp_path / "b.npz")
        except ReadError as error:
            codes.add(error.code)
    assert codes <= REASONS.keys()


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert refused(tmp_path / "absent.npz").code == "unreadable"


@pytest.mark.data
def test_the_official_files_are_read(shared_data: Path) -> None:
    arrays = read_npz(shared_data / "medmnist" / "adrenalmnist3d.npz")
    assert arrays["train_images"].shape == (1188, 28, 28, 28)
    assert arrays["test_labels"].shape == (298, 1)
