"""What a user may call a model."""

from pathlib import Path

import pytest

from medcnn.cli.models import resolve_model
from medcnn.errors import CheckpointError


def test_a_file_and_a_folder_are_themselves(tmp_path: Path) -> None:
    file = tmp_path / "best.ckpt"
    file.touch()
    assert resolve_model(str(file)) == file
    assert resolve_model(str(tmp_path)) == tmp_path


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no model at .*gone\.ckpt"):
        resolve_model(str(tmp_path / "gone.ckpt"))


def test_training_goes_on_from_the_last_checkpoint_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    last = Path("checkpoints", "0123abcd", "last.ckpt")
    last.parent.mkdir(parents=True)
    last.touch()
    assert resolve_model("runs:/0123abcd", resume=True) == last


@pytest.mark.parametrize("name", ["runs:/0123abcd", "models:/chest@champion"])
def test_training_does_not_go_on_without_the_optimizer_s_state(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="optimizer's state"):
        resolve_model(name, resume=True)


def test_training_does_not_go_on_from_a_model_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="without the optimizer's state"):
        resolve_model(str(tmp_path), resume=True)
