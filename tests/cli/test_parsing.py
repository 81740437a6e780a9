"""No value of a configuration is imported by any route unless the allow-list permits it, and YAML has limits."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonargparse import ArgumentError, ArgumentParser
from torch import nn

from medcnn.cli.parsing import check_specs, place_of, refusal_in, secure_parsing
from medcnn.errors import ConfigError, MedcnnError


class Anything:
    """Takes what MONAI and Lightning take: callables, types, modules, and things of no type."""

    def __init__(
        self,
        function: Callable | None = None,
        functions: Sequence[Callable] | Callable | None = None,
        factory: Callable[[Any], torch.optim.Optimizer] | None = None,
        kind: type[nn.Module] | None = None,
        net: nn.Module | None = None,
        free: Any = None,
        untyped=None,  # type: ignore[no-untyped-def]
        **kwargs: Any,
    ) -> None:
        self.given = (function, functions, factory, kind, net, free, untyped, kwargs)


@pytest.fixture
def parser() -> ArgumentParser:
    secure_parsing()
    made = ArgumentParser(exit_on_error=False, default_env=True, env_prefix="PLANTED")
    made.add_argument("--config", action="config")
    made.add_class_arguments(Anything, "part")
    made.add_argument("--net", type=nn.Module, enable_path=True)
    return made


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that leaves a file where it is imported, next to an allowed-looking one."""
    (tmp_path / "planted_module.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\ndef run(*_): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    return "planted_module.run"


ROUTES = [
    "part: {{function: {0}}}",
    "part: {{functions: {0}}}",
    "part: {{functions: [{0}]}}",
    "part: {{factory: {0}}}",
    "part: {{kind: {0}}}",
    "part: {{net: {0}}}",
    "part: {{free: {0}}}",
    "part: {{untyped: {0}}}",
    "part: {{function: {{class_path: {0}}}}}",
    "part: {{free: {{class_path: {0}}}}}",
    "part: {{free: [[{{x: {{class_path: {0}}}}}]]}}",
    "part: {{net: {{class_path: torch.nn.Sequential, dict_kwargs: {{x: {{class_path: {0}}}}}}}}}",
    "net: {0}",
    "net: {{class_path: {0}}}",
]


@pytest.mark.parametrize("route", ROUTES)
def test_no_route_from_a_file_leads_to_an_import(
    route: str, parser: ArgumentParser, planted: str, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text(route.format(planted))
    refused = False
    try:
        config = parser.parse_args(["--config", str(tmp_path / "config.yaml")])
        parser.instantiate_classes(config)
    except (ArgumentError, MedcnnError) as error:
        refused = refusal_in(error) is not None
    assert "planted_module" not in sys.modules
    assert not (tmp_path / "ran").exists()
    # A text where any text may be is a text.
    assert refused != ("{{free: {0}}}" in route or "untyped" in route)


@pytest.mark.parametrize(
    "words",
    [
        ["--part.function", "{0}"], ["--part.functions+", "{0}"], ["--part.factory={0}"], ["--part.kind={0}"],
        ["--part.net", "{0}"], ["--net={0}"], ["--net.help={0}"], ["--net.class_path={0}"], ["--part.net.help", "{0}"],
        ["--part.function", "{{class_path: {0}}}"], ["--part", "{{function: {0}}}"],
        ["--config", "part: {{kind: {0}}}"],
    ],
    ids=str,
)  # fmt: skip
def test_no_word_of_the_command_line_leads_to_an_import(
    words: list[str], parser: ArgumentParser, planted: str, tmp_path: Path
) -> None:
    with pytest.raises((ArgumentError, MedcnnError)) as caught:
        parser.parse_args([word.format(planted) for word in words])
    assert refusal_in(caught.value) is not None
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["PLANTED_NET", "PLANTED_PART__FUNCTION", "PLANTED_PART__KIND"])
def test_no_environment_variable_leads_to_an_import(
    name: str, parser: ArgumentParser, planted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, planted)
    with pytest.raises((ArgumentError, MedcnnError)):
        parser.parse_args([])
    assert not (tmp_path / "ran").exists()


def test_a_bare_name_of_a_loaded_class_is_checked_too(parser: ArgumentParser) -> None:
    class PlantedNet(nn.Module):
        """A subclass that is loaded and not on the list."""

    PlantedNet.__qualname__ = "PlantedNet"
    sys.modules[__name__].PlantedNet = PlantedNet  # type: ignore[attr-defined]
    with pytest.raises((ArgumentError, MedcnnError)) as caught:
        parser.parse_args(["--net", "PlantedNet"])
    assert refusal_in(caught.value) is not None


def test_what_the_list_permits_is_parsed_and_built(parser: ArgumentParser) -> None:
    words = ["--net", "torch.nn.ReLU", "--part.factory", "torch.optim.SGD", "--part.factory.lr", "0.1"]
    built = parser.instantiate_classes(parser.parse_args([*words, "--part.kind", "torch.nn.Linear"]))
    assert isinstance(built.net, nn.ReLU)
    assert built.part.given[3] is nn.Linear
    assert isinstance(built.part.given[2]([nn.Parameter(torch.ones(1))]), torch.optim.SGD)


def test_a_users_package_is_allowed_where_the_environment_names_it(
    parser: ArgumentParser, planted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDCNN_ALLOW", "mine, planted_module")
    built = parser.instantiate_classes(parser.parse_args(["--part.function", planted]))
    assert callable(built.part.given[0])
    sys.modules.pop("planted_module")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"a": [{"init_args": {"b": {"class_path": "os.system"}}}]}, "a.b.class_path: 'os.system' is not on"),
        ({"net": {"class_path": "torch.nn.ReLU", "inplace": True}}, "net.inplace: .* move inplace there"),
        ({"net": {"class_path": None}}, "net.class_path is None"),
        ({"net": {"class_path": "torch.nn.ReLU", "init_args": None}}, "net.init_args is None"),
    ],
)
def test_a_spec_that_is_none_is_refused_with_its_key(config: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_specs(config)


def test_yaml_in_every_place_has_limits(parser: ArgumentParser, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("part: {free: 1, free: 2}\n")
    (tmp_path / "part.yaml").write_text("free: &a [*a]\n")
    for words in (
        ["--config", str(tmp_path / "config.yaml")],
        ["--part", str(tmp_path / "part.yaml")],
        ["--part.free", "&a [*a]"],
        ["--part", "{free: 1, free: 2}"],
    ):
        with pytest.raises((ArgumentError, MedcnnError)) as caught:
            parser.parse_args(words)
        assert "given twice" in str(caught.value) or "not complete" in str(caught.value)


def test_a_key_is_found_in_the_file_that_it_was_read_from(parser: ArgumentParser, tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text("class_path: torch.nn.ReLU\ninit_args:\n  inplace: true\n")
    (tmp_path / "config.yaml").write_text("part: {free: 1}\nnet: net.yaml\n")
    parser.parse_args(["--config", str(tmp_path / "config.yaml")])
    assert place_of("net.inplace") == "net.yaml, line 3"
    assert place_of("part.free") == "config.yaml, line 1"
    assert place_of("part.nothing") == ""
