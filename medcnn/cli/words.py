"""What was typed, as a verb takes it; and what is wrong with it, in one line."""

from collections.abc import Callable, Sequence
from typing import Any

from medcnn.cli.parse_errors import in_a_line
from medcnn.errors import ConfigError


def parsed(verb: Callable[..., Any], words: Sequence[str], name: str) -> Any:
    """The verb with what was typed.

    Raises:
        ConfigError: A word is missing, unknown, or not of its kind; one line.
    """
    from jsonargparse import ArgumentError, auto_cli

    from medcnn.cli.parsing import secure_parsing

    secure_parsing()
    try:
        return auto_cli(verb, args=list(words), prog=f"medcnn {name}", fail_untyped=False, exit_on_error=False)
    except ArgumentError as error:
        raise ConfigError(f"{in_a_line(str(error))}; medcnn {name} --help tells what it takes") from error
