"""Import MONAI without what it imports only because it is installed; that is two of its four seconds."""

import importlib
import sys

#: MONAI looks for these by itself, for its handlers and plots; no transform, network or loss needs one.
_UNNEEDED = ("ignite", "matplotlib", "mlflow", "tensorboard")


def import_monai() -> None:
    """Import MONAI while packages that scoring does not need look as if they were not installed.

    They can be imported as ever afterwards, by anyone but MONAI, which takes them for missing until the process ends:
    for processes that score and do nothing else.
    """
    if "monai" in sys.modules:
        return
    hidden = [name for name in _UNNEEDED if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # the import system's way to say "not there"
    try:
        importlib.import_module("monai.transforms")
    finally:
        for name in hidden:
            del sys.modules[name]
