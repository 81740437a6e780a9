"""The processor that a process runs on."""

import os


def cores() -> int:
    """Cores that this process may use; of the whole machine where the system does not limit a process to some."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
