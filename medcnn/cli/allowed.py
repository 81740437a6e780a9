"""Class paths in a config come from an allow-list, and are held against it before anything is imported."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from jsonargparse import get_loader, set_loader

from medcnn.errors import ConfigError

#: What a config may name. ``MEDCNN_ALLOW=mypackage`` adds packages of the user's own.
PREFIXES = ("medcnn.", "monai.", "torch.nn.", "torch.optim.", "pytorch_lightning.", "torchmetrics.")


def prefixes() -> tuple[str, ...]:
    """The allow-list, with what the user added to it."""
    own = os.environ.get("MEDCNN_ALLOW", "")
    return PREFIXES + tuple(f"{name.strip().rstrip('.')}." for name in own.split(",") if name.strip())


def class_paths(config: Any) -> Iterator[str]:
    """Every class path in a nested config, however deep."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            if key == "class_path" and isinstance(value, str):
                yield value
            else:
                yield from class_paths(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from class_paths(value)


def check_class_paths(config: Any) -> None:
    """Refuse a class path outside the allow-list.

    Raises:
        ConfigError: With the path, and how to allow a package of one's own.
    """
    for path in class_paths(config):
        # A name without a dot is one of ours or Lightning's, found by jsonargparse among loaded subclasses.
        if "." in path and not path.startswith(prefixes()):
            raise ConfigError(
                f"the config names the class {path}, which is outside the allow-list ({', '.join(PREFIXES)}); "
                f"if you trust that package, set MEDCNN_ALLOW={path.partition('.')[0]}"
            )


def guard_yaml() -> None:
    """Check each YAML text when it is loaded: jsonargparse imports a class as soon as it has read its path."""
    load = get_loader("yaml")
    if getattr(load, "guarded", False):
        return

    def guarded(text: str) -> Any:
        value = load(text)
        check_class_paths(value)
        return value

    guarded.guarded = True  # type: ignore[attr-defined]
    set_loader("yaml", guarded)
