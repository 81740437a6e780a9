"""From the words of ``fit``, ``validate``, ``test`` and ``predict`` to a configuration that holds what it must."""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser, Namespace
from jsonargparse._common import parser_context
from jsonargparse._typehints import ActionTypeHint

from medcnn.cli.parse_errors import in_a_line, key_in
from medcnn.cli.parsing import place_of, refusal_in, secure_parsing, short
from medcnn.errors import ConfigError
from medcnn.printable import printable
from medcnn.yaml_reader import read_yaml

_LOOP = "Config file loop detected"


def parse_configuration(parser: ArgumentParser, words: Sequence[str]) -> Namespace:
    """Return the configuration that the command line and its files make.

    Raises:
        ConfigError: A file that cannot be read, an unknown key, a value of the wrong kind or none, or a class that is
            not on the allow-list; one line, with the key and where it is.
        YamlError: A file that is not YAML, or beyond the limits.
    """
    secure_parsing()
    _check_files(words, _options(parser, next(iter(words), "")))
    try:
        config = parser.parse_args(list(words))
    except (ArgumentError, ValueError, TypeError) as error:
        raise _explained(error, parser, words) from error
    _check_empty(parser, config, words)
    options = config[config["subcommand"]] if config.get("subcommand") else config
    if options.get("weights_only") is False:
        raise ConfigError("weights_only is false; a checkpoint is read without running code from it: remove the key")
    if "weights_only" in options:
        options["weights_only"] = True
    return config


def _explained(error: Exception, parser: ArgumentParser, words: Sequence[str]) -> ConfigError:
    subcommand, place = next(iter(words), ""), partial(_place, words)
    if refusal := refusal_in(error):
        key = key_in(str(error))
        where = f" ({found})" if key and (found := place(key)) else ""
        return ConfigError(f"{key}: {refusal}{where}" if key else str(refusal))
    text = _without_loop(error).removeprefix(f"Subcommand '{subcommand}' ")
    text = re.sub(rf"(required: |, ){re.escape(subcommand)}\.", r"\1", text)
    return ConfigError(in_a_line(text, _options(parser, subcommand), place))


def _without_loop(error: BaseException) -> str:
    """Return an error's text; of a wrong sub-configuration, which is read twice, jsonargparse reports a loop."""
    text, link = str(error), error.__cause__ or error.__context__
    while link is not None and (before := link.__cause__ or link.__context__):
        if str(link).startswith(_LOOP) and not str(before).startswith(_LOOP):
            return text.replace(str(link), str(before))
        link = before
    return text


def _place(words: Sequence[str], key: str) -> str:
    """Return the file and line of a key; "" where the command line gives it, or what it is part of."""
    typed = (short(word[2:].partition("=")[0].rstrip("+")) for word in words if word.startswith("--"))
    return "" if any(key == name or key.startswith(f"{name}.") for name in typed) else place_of(key)


def _options(parser: ArgumentParser, subcommand: str) -> list[str]:
    """Return the dotted names of what a subcommand takes."""
    return [action.dest for action in _parser_of(parser, subcommand)._actions]


def _parser_of(parser: ArgumentParser, subcommand: str | None) -> ArgumentParser:
    """Return the parser of a subcommand; the parser itself where there is none of that name."""
    found = getattr(parser._subcommands_action, "_name_parser_map", {}).get(subcommand, parser)
    assert isinstance(found, ArgumentParser)
    return found


def _check_files(words: Sequence[str], options: Sequence[str]) -> None:
    """Check the files that are named by ``--config``, whose content jsonargparse would quote whole.

    Raises:
        YamlError: Not YAML, or beyond the limits.
        ConfigError: No keys and values.
    """
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name not in ("-c", "--config"):
            continue
        text = value if equals else next(iter(words[place + 1 :]), "")
        path = Path(text)
        if not text or (not path.is_file() and not path.is_dir()):
            continue  # a text in place of a file, or none: jsonargparse knows
        found = read_yaml(path)
        if not isinstance(found, dict):
            raise ConfigError(f"{printable(path.name, 80)} holds no keys and values; expected 'key: value' lines")
        groups = {option.partition(".")[0] for option in options if "." in option}
        for key in groups & found.keys():
            if not isinstance(found[key], dict | str | None):
                raise ConfigError(f"{key} is {printable(found[key], 60)} ({path.name}); expected 'key: value' lines")


def _check_empty(parser: ArgumentParser, config: Namespace, words: Sequence[str]) -> None:
    """Refuse a key without a value (``batch_size:``), which jsonargparse takes for "not given" and lets through.

    Raises:
        ConfigError: With the key, where it is, and what is expected.
    """
    subcommand = config.get("subcommand")
    values = config[subcommand] if subcommand else config
    for key, expected in _empty(_parser_of(parser, subcommand), values, ""):
        where = f" ({place})" if (place := _place(words, key)) else ""
        raise ConfigError(f"{key} has no value{where}; expected {expected}: give one, or remove the key")


def _empty(parser: ArgumentParser, values: Namespace, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield every key whose value is None although its type and its default are not, with what its type expects."""
    for action in parser._actions:
        if not isinstance(action, ActionTypeHint):
            continue
        key, value = f"{prefix}{action.dest}", values.get(action.dest)
        if value is not None:
            yield from _empty_inside(parser, action, value, key)
        elif action.default is not None and (expected := _expected(parser, action)):
            yield short(key), expected


def _empty_inside(parser: ArgumentParser, action: ActionTypeHint, value: Any, key: str) -> Iterator[tuple[str, str]]:
    for part in value if isinstance(value, list | tuple) else [value]:
        if isinstance(part, Namespace) and isinstance(part.get("class_path"), str) and part.get("init_args"):
            with parser_context(parent_parser=parser):
                inner = ActionTypeHint.get_class_parser(part["class_path"], action.sub_add_kwargs)
            yield from _empty(inner, part["init_args"], f"{key}.")


def _expected(parser: ArgumentParser, action: ActionTypeHint) -> str:
    """Return what an argument expects in place of None, in words; "" where None is a value of it."""
    try:
        with parser_context(parent_parser=parser):
            parser._check_value_key(action, None, action.dest, Namespace())
    except (TypeError, ValueError) as error:
        return in_a_line(str(error)).rpartition("expected ")[2] or "a value"
    return ""
