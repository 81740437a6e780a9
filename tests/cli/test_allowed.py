"""A config may name only classes of packages that are allowed, and is judged before anything is imported."""

import sys
from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from medcnn.cli.allowed import check_class_paths, class_paths, guard_yaml
from medcnn.errors import ConfigError


def test_class_paths_are_found_however_deep() -> None:
    config = {"a": [{"class_path": "x.Y", "init_args": {"b": ({"class_path": "z.W"},)}}], "class_path": "v.U"}
    assert sorted(class_paths(config)) == ["v.U", "x.Y", "z.W"]


@pytest.mark.parametrize("path", ["medcnn.nets.resnet.ResNet", "monai.networks.nets.SegResNet", "torch.optim.AdamW"])
def test_the_shipped_packages_are_allowed(path: str) -> None:
    check_class_paths({"class_path": path})


@pytest.mark.parametrize("path", ["os.system", "subprocess.Popen", "medcnn_evil.Net", "torchvision.models.resnet18"])
def test_others_are_refused_with_the_way_to_allow_them(path: str) -> None:
    with pytest.raises(ConfigError, match=f"MEDCNN_ALLOW={path.partition('.')[0]}"):
        check_class_paths({"model": {"class_path": path}})


def test_a_user_may_allow_a_package_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDCNN_ALLOW", "mine, yours.nets")
    check_class_paths([{"class_path": "mine.Net"}, {"class_path": "yours.nets.Net"}])
    with pytest.raises(ConfigError):
        check_class_paths({"class_path": "yours.other.Net"})


def test_a_module_in_a_config_is_not_imported_before_it_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "planted_module.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\nclass Net: pass\n")
    config = tmp_path / "config.yaml"
    config.write_text("net: {class_path: planted_module.Net}\n")
    monkeypatch.syspath_prepend(tmp_path)
    guard_yaml()
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_argument("--net", type=object)
    with pytest.raises(ConfigError, match=r"planted_module\.Net"):
        parser.parse_args(["--config", str(config)])
    assert "planted_module" not in sys.modules
    assert not (tmp_path / "ran").exists()
