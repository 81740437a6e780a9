"""How jsonargparse reads configurations here: bounded YAML, and imports from the allow-list alone."""

import functools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import _paths, _util, get_loader, set_loader, set_parsing_settings

from medcnn.allowlist import (
    CONFIG_KINDS,
    CONFIG_PACKAGES,
    NotAllowedError,
    check_object,
    check_path,
    number_type,
    own_packages,
)  # fmt: skip
from medcnn.errors import ConfigError, MedcnnError
from medcnn.printable import printable
from medcnn.yaml_reader import Key, check_yaml, read_text

#: File to its keys, of all files that were read since parsing began: for messages that name a line.
_keys: dict[str, list[Key]] = {}
#: What was refused since parsing began: jsonargparse tries several types, and may keep the error of another one.
_refused: list[NotAllowedError] = []


def secure_parsing() -> None:
    """Let jsonargparse import nothing outside the allow-list and load no YAML beyond the limits, in this process.

    Every route from a value to an import (class paths, callables, types, bare class names, values of the command line,
    of the environment and of files) ends in one function of jsonargparse, which is wrapped here; its own list, which
    is set as well, knows packages but not kinds of class.
    """
    _keys.clear()
    _refused.clear()
    if getattr(_util.import_object, "guarded", False):
        return
    packages = [prefix.rstrip(".") for prefix in (*CONFIG_PACKAGES, *own_packages())]
    set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=packages)
    _replace("import_object", _guarded_import())
    load = _bounded_load()
    _replace("yaml_load", load)
    set_loader("yaml", load, exceptions=(yaml.YAMLError,))
    _paths.Path.read_text = _bounded_read_text(_paths.Path.read_text)  # type: ignore[method-assign]


def place_of(key: str) -> str:
    """Return where a dotted key was read, as "tiny.yaml, line 3"; "" where it was not read from a file."""
    wanted, best = short(key).split("."), (0, "")
    for file, keys in _keys.items():
        for known in keys:
            parts = short(known.path).split(".")
            if wanted[-len(parts) :] == parts:
                best = max(best, (len(parts), f"{printable(file, 80)}, line {known.line}"))
    return best[1]


def short(key: str) -> str:
    """Return a dotted key as the command line takes it: without ``init_args`` and places in lists."""
    parts = [part for part in key.split(".") if part not in ("init_args", "dict_kwargs") and not part.isdigit()]
    return ".".join(parts)


def refusal_in(error: BaseException) -> MedcnnError | None:
    """Return the error of ours that an error of jsonargparse comes from or quotes; None where there is none."""
    found: MedcnnError | None = None
    link: BaseException | None = error
    while link is not None:
        found = link if isinstance(link, MedcnnError) else found
        link = link.__cause__ or link.__context__
    return found or next((refusal for refusal in _refused if str(refusal) in str(error)), None)


def check_specs(config: Any, key: str = "") -> None:
    """Check every ``class_path`` of nested plain data, also where no class is expected: jsonargparse ignores it there.

    Raises:
        ConfigError: A path outside the allow-list, or keys next to it that are not those of a class.
    """
    if isinstance(config, Mapping):
        inner = f"{key}." if key else ""
        if "class_path" in config:
            _check_spec(config, inner)
        for name, value in config.items():
            check_specs(value, f"{inner}{name}")
    elif isinstance(config, list | tuple):
        for value in config:
            check_specs(value, key)


def _check_spec(spec: Mapping[str, Any], inner: str) -> None:
    path = spec["class_path"]
    if not isinstance(path, str):
        raise ConfigError(f"{inner}class_path is {printable(path, 60)}; expected the path of a class")
    # A name without a dot is resolved by jsonargparse among the loaded subclasses, and its import is checked.
    if "." in path:
        try:
            _check_path(path, _packages())
        except NotAllowedError as error:
            raise ConfigError(f"{short(inner + 'class_path')}: {error}") from error
    for name, value in spec.items():
        if name not in ("class_path", "init_args", "dict_kwargs"):
            raise ConfigError(
                f"{short(f'{inner}{name}')}: a class is given by class_path and init_args, and its arguments go into "
                f"init_args; move {printable(name, 60)} there"
            )
        if name != "class_path" and not isinstance(value, Mapping):
            raise ConfigError(f"{inner}{name} is {printable(value, 60)}; expected 'argument: value' lines")


def _replace(name: str, function: Any) -> None:
    """Put a function in the place of one of jsonargparse's, in each of its modules that imported it."""
    original = function.__wrapped__
    for path, module in list(sys.modules.items()):
        if path.partition(".")[0] == "jsonargparse" and getattr(module, name, None) is original:
            setattr(module, name, function)


def _guarded_import() -> Any:
    original = _util.import_object

    @functools.wraps(original)
    def import_object(name: str, check_path: bool = True) -> Any:
        if not check_path or not isinstance(name, str) or "." not in name or number_type(name) is not None:
            return original(name, check_path=False)
        try:
            if name.endswith((".yaml", ".yml")):
                raise NotAllowedError(f"there is no file {printable(name, 200)}, seen from the file that names it")
            _check_path(name, _packages())
            found = original(name, check_path=False)
            check_object(name, found, _packages(), CONFIG_KINDS)
        except NotAllowedError as error:
            _refused.append(error)
            raise
        return found

    import_object.guarded = True  # type: ignore[attr-defined]
    return import_object


def _packages() -> tuple[str, ...]:
    return (*CONFIG_PACKAGES, *own_packages())


_check_path = check_path  # the parameter of jsonargparse's function has the same name


def _bounded_load() -> Any:
    original = get_loader("yaml")

    @functools.wraps(original)
    def load(text: str) -> Any:
        file = _current_file()
        keys = check_yaml(text, file or "the command line")
        if file:
            _keys.setdefault(file, []).extend(keys)
        try:
            value = original(text)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise yaml.YAMLError(f"a value cannot be read: {error}") from error
        check_specs(value)
        return value

    return load


def _bounded_read_text(original: Any) -> Any:
    @functools.wraps(original)
    def read(self: Any) -> str:
        if self._std_io or self.is_url or self.is_fsspec:
            return str(original(self))
        return read_text(Path(self.absolute))

    return read


def _current_file() -> str:
    """Return the name of the file that jsonargparse is reading; "" for a value of the command line."""
    stack = _util.config_load_stack.get()
    return Path(stack[-1][1]).name if stack else ""
