"""Imported once, by the process that workers are forked from: see ``workers.warm_up``."""

from medcnn.scoring.lean import import_monai

import_monai()

import medcnn.scoring.preparation  # noqa: E402
import medcnn.tasks.build  # noqa: E402, F401
