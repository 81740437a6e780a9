"""Files are whole or absent, private, and written where nobody prepared a trap."""

import stat
import subprocess
from pathlib import Path

import pytest

from medcnn import files
from medcnn.files import make_folder, write_atomic


def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    target = tmp_path / "findings.csv"
    target.write_text("old")

    def fill(draft: Path) -> None:
        draft.write_text("half of the new")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_atomic(target, fill)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(("private", "mode"), [(True, 0o600), (False, 0o644)])
def test_only_the_owner_reads_a_private_file(tmp_path: Path, private: bool, mode: int) -> None:
    import os

    old = os.umask(0o022)
    try:
        write_atomic(tmp_path / "table.csv", lambda draft: draft.write_text("x"), private=private)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "table.csv").stat().st_mode) == mode


def test_a_link_under_the_name_of_a_draft_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr(files.secrets, "token_hex", lambda _: "known")
    (tmp_path / f"{files.DRAFT_PREFIX}known.csv").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_atomic(tmp_path / "table.csv", lambda draft: draft.write_text("x"))
    assert victim.read_text() == "precious"


def test_a_draft_keeps_the_suffix_that_names_its_format(tmp_path: Path) -> None:
    seen: list[str] = []
    write_atomic(tmp_path / "a.b.nii.gz", lambda draft: (seen.append(draft.name), draft.write_text("x")))
    assert seen[0].endswith(".nii.gz")


def test_a_folder_deeper_than_calls_can_nest_is_made(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 1500)
    make_folder(deep)
    make_folder(deep)
    assert deep.is_dir()
    subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)  # pytest's own removal recurses
