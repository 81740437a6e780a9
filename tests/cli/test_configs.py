"""The configurations are found from a checkout and from a wheel."""

from pathlib import Path

import pytest

from medcnn.cli import configs
from medcnn.cli.configs import configs_folder
from medcnn.errors import ConfigError


def installed_at(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configs, "__file__", str(root / "medcnn" / "cli" / "configs.py"))


def test_a_wheel_carries_them_inside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "medcnn" / "configs" / "experiment").mkdir(parents=True)
    (tmp_path / "configs" / "experiment").mkdir(parents=True)
    installed_at(tmp_path, monkeypatch)
    assert configs_folder() == tmp_path / "medcnn" / "configs"


def test_a_checkout_has_them_beside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "configs" / "experiment").mkdir(parents=True)
    installed_at(tmp_path, monkeypatch)
    assert configs_folder() == tmp_path / "configs"


def test_an_installation_without_them_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed_at(tmp_path, monkeypatch)
    with pytest.raises(ConfigError, match="install medcnn again"):
        configs_folder()
