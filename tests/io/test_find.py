import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medcnn.errors import MedcnnError, ReadError
from medcnn.io.dicom_write import write_film
from medcnn.io.find import REASONS, find_files, kind_of
from medcnn.io.read import read_film

FILM = np.arange(48, dtype=np.uint16).reshape(6, 8)


@pytest.mark.parametrize("name", ["a.png", "a.jpeg", "a.tiff"])
def test_a_format_is_known_by_its_bytes_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    Image.fromarray(FILM.astype(np.uint8)).save(tmp_path / name)
    disguised = (tmp_path / name).rename(tmp_path / "scan.dcm")
    assert kind_of(disguised) == name.removeprefix("a.")


def test_a_dicom_file_is_known_with_and_without_its_preamble(tmp_path: Path) -> None:
    write_film(tmp_path / "a", FILM)
    (tmp_path / "b").write_bytes((tmp_path / "a").read_bytes()[132:])
    assert [kind_of(tmp_path / name) for name in "ab"] == ["dicom", "dicom"]


def test_a_preamble_that_is_also_a_tiff_is_dicom(tmp_path: Path) -> None:
    write_film(tmp_path / "a", FILM)
    data = bytearray((tmp_path / "a").read_bytes())
    data[:4] = b"II*\0"
    (tmp_path / "a").write_bytes(data)
    assert kind_of(tmp_path / "a") == "dicom"


def test_a_zip_is_npz_only_if_it_begins_with_an_array(tmp_path: Path) -> None:
    import zipfile

    np.savez_compressed(tmp_path / "a.npz", x=FILM)
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("word/document.xml", "text" * 40)
    assert [kind_of(tmp_path / "a.npz"), kind_of(tmp_path / "b.npz")] == ["npz", "unknown"]


def test_every_file_is_found_once_in_the_same_order_and_hidden_ones_are_not(tmp_path: Path) -> None:
    for name in ("b/2.txt", "b/1.txt", "a/x.txt", ".medcnn_key", "a/.hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("words")
    found = [one.path.relative_to(tmp_path).as_posix() for one in find_files(tmp_path)]
    assert found == ["a/x.txt", "b/1.txt", "b/2.txt"]


def test_a_folder_that_links_to_itself_is_walked_once(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("words")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert len(list(find_files(tmp_path))) == 1


def test_a_link_is_followed_inside_the_folder_and_not_out_of_it(tmp_path: Path) -> None:
    for name in ("source/sub/a.txt", "elsewhere/b.txt"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("words")
    (tmp_path / "source" / "inside").symlink_to("sub")
    (tmp_path / "source" / "out").symlink_to("../elsewhere")
    (tmp_path / "source" / "up").symlink_to("..")
    (tmp_path / "source" / "file.txt").symlink_to("../elsewhere/b.txt")
    (tmp_path / "way in").symlink_to("source")
    for source in (tmp_path / "source", tmp_path / "way in"):
        found = [one.path.relative_to(source).as_posix() for one in find_files(source)]
        assert found == ["file.txt", "inside/a.txt", "out", "up"]  # each folder once, by its first name
    with pytest.raises(ReadError, match=r"^out: a link that leads out of the folder") as caught:
        read_film(tmp_path / "source" / "out")
    assert caught.value.code == "link_outside"


@pytest.mark.parametrize(("target", "told"), [("gone", "a link to nothing"), ("x.dcm", "a link to itself")])
def test_a_link_that_leads_nowhere_is_told_as_that(tmp_path: Path, target: str, told: str) -> None:
    (tmp_path / "x.dcm").symlink_to(target)
    assert [one.kind for one in find_files(tmp_path)] == ["unknown"]
    with pytest.raises(ReadError, match=rf"^x\.dcm: {told}$") as caught:
        read_film(tmp_path / "x.dcm")
    assert caught.value.code == "unreadable"


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert [one.kind for one in find_files(tmp_path)] == ["unknown"]
    with pytest.raises(ReadError) as caught:
        read_film(tmp_path / "pipe")
    assert caught.value.code == "unreadable"


def test_one_file_may_stand_for_a_folder(tmp_path: Path) -> None:
    write_film(tmp_path / "a.dcm", FILM)
    assert list(find_files(tmp_path / "a.dcm")) == [(tmp_path / "a.dcm", "dicom")]


def test_nothing_at_the_root_is_told(tmp_path: Path) -> None:
    with pytest.raises(MedcnnError, match="nothing is at"):
        list(find_files(tmp_path / "absent"))


@pytest.mark.parametrize(
    ("content", "code"), [(b"", "empty"), (b"patient list", "not_an_image"), (b"PK", "not_an_image")]
)
def test_a_file_that_is_no_image_says_why_by_its_name_only(tmp_path: Path, content: bytes, code: str) -> None:
    (tmp_path / "x.bin").write_bytes(content)
    with pytest.raises(ReadError) as caught:
        read_film(tmp_path / "x.bin")
    assert caught.value.code == code
    assert str(caught.value).startswith("x.bin: ")
    assert str(tmp_path) not in str(caught.value)


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(ReadError) as caught:
        read_film(tmp_path / "absent.dcm")
    assert caught.value.code == "unreadable"


def test_each_reason_is_one_short_sentence() -> None:
    assert all(0 < len(words) < 100 and "\n" not in words for words in REASONS.values())


@pytest.fixture
def nested(tmp_path: Path) -> Iterator[Path]:
    """A folder with a file in it, and 2,500 folders within each other."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "x.txt").write_text("words")
    folder = os.open(root, os.O_RDONLY)
    for _ in range(2500):
        os.mkdir("d", dir_fd=folder)
        below = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
    yield root
    subprocess.run(["rm", "-rf", root], check=True)  # shutil and pytest recurse


def test_folders_nested_beyond_every_limit_are_walked(nested: Path) -> None:
    found = [one.path for one in find_files(nested)]
    assert found[-1] == nested / "x.txt"
    if len(found) > 1:  # the paths below are longer than the system takes
        assert len(os.fsencode(found[0])) >= os.pathconf(nested, "PC_PATH_MAX")
        with pytest.raises(ReadError, match="longer than the system takes"):
            read_film(found[0])


def test_hidden_names_are_reported(tmp_path: Path) -> None:
    for name in ("a.txt", "._a.txt", ".DS_Store"):
        (tmp_path / name).write_text("words")
    hidden: list[Path] = []
    assert [one.path.name for one in find_files(tmp_path, hidden)] == ["a.txt"]
    assert sorted(path.name for path in hidden) == [".DS_Store", "._a.txt"]


def test_names_that_are_not_text_are_found(tmp_path: Path) -> None:
    name = b"scan\xff\n.txt"
    (tmp_path / os.fsdecode(name)).write_text("words")
    assert [os.fsencode(one.path.name) for one in find_files(tmp_path)] == [name]
