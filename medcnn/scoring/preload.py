"""Imported once, by the process that workers are forked from: see ``workers.warm_up``."""

import sys

# MONAI imports these wherever they are installed, which costs seconds; no transform of an image needs one.
_UNNEEDED = ("ignite", "matplotlib", "mlflow", "tensorboard")
for _name in _UNNEEDED:
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]  # None: "not installed", says the import system

import medcnn.scoring.preparation
import medcnn.tasks.build  # noqa: F401

for _name in _UNNEEDED:
    if sys.modules[_name] is None:
        del sys.modules[_name]
