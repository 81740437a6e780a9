"""Imported once, by the process that workers are forked from: see ``workers.warm_up``."""

import signal

from medcnn.library_output import quiet_worker
from medcnn.scoring.lean import import_monai

quiet_worker()

# Ctrl-C goes to the whole group; the parent answers it, and this process ends with its parent.
signal.signal(signal.SIGINT, signal.SIG_IGN)
import_monai()

import medcnn.scoring.preparation  # noqa: E402
import medcnn.tasks.build  # noqa: E402, F401
