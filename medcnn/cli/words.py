"""What was typed, as a verb takes it; and what is wrong with it, in one line."""

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

from medcnn.cli.parse_errors import in_a_line
from medcnn.errors import ConfigError


def parsed(verb: Callable[..., Any], words: Sequence[str], name: str) -> Any:
    """The verb with what was typed.

    Raises:
        ConfigError: A word is missing, unknown, or not of its kind; one line.
    """
    from jsonargparse import ArgumentError, auto_cli

    from medcnn.cli.parsing import place_of, secure_parsing

    secure_parsing()
    options = [field.name for field in fields(verb)] if is_dataclass(verb) else []
    try:
        made = auto_cli(verb, args=list(words), prog=f"medcnn {name}", fail_untyped=False, exit_on_error=False)
    except ArgumentError as error:
        raise ConfigError(f"{in_a_line(str(error), options)}; medcnn {name} --help tells what it takes") from error
    for key, hint in get_type_hints(type(made)).items() if options else ():
        if getattr(made, key, ...) is None and hint is not None and type(None) not in get_args(hint):
            where = f" ({place})" if (place := place_of(key)) else ""
            raise ConfigError(f"{key} has no value{where}; medcnn {name} --help tells what it takes")
    return made
