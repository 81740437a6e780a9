"""What ``medcnn doctor`` looks at. Versions are read without importing: a broken package still gets its line."""

import importlib.util
import os
import platform
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple

from packaging.version import Version

State = Literal["ok", "missing", "warning", "broken"]


class Finding(NamedTuple):
    """One thing that was looked at.

    ``missing`` is an ability this installation could gain, ``warning`` something that works today and may not tomorrow,
    ``broken`` something that does not work or has a known hole.
    """

    part: str
    name: str
    state: State
    found: str
    advice: str = ""


class Least(NamedTuple):
    """The oldest version without a known hole, and the hole."""

    version: str
    reason: str


#: Versions with a reason; pyproject.toml has the same bounds and a test compares them.
MINIMUM: dict[str, Least] = {
    "torch": Least("2.13", "GHSA-rrmf-rvhw-rf47"),
    "pytorch-lightning": Least("2.6.6", "CVE-2026-58659; 2.6.2 and 2.6.3 were malware, GHSA-w37p-236h-pfx3"),
    "monai": Least("1.6.1", "GHSA-89gg, GHSA-wg9g, GHSA-rghg, GHSA-qxq5"),
    "mlflow": Least("3.16.1", "earlier servers start with a default admin password"),
    "pydicom": Least("3.0.2", "CVE-2026-32711"),
}
#: Packages whose presence alone does harm.
UNWANTED: dict[str, str] = {
    "torchvision": "beside a CPU build of torch it breaks the import of torchmetrics, Lightning and MLflow",
    "lightning": "a second copy of pytorch-lightning: callbacks of one are not callbacks of the other",
}
GIB = 2**30
LEAST_MEMORY, LEAST_DISK = 4 * GIB, 5 * GIB


def checkup() -> Iterator[Finding]:
    """Every finding. A look that fails for a library that does not load becomes a finding itself."""
    looks: dict[str, Callable[[], Iterable[Finding]]] = {
        "Python": python_version,
        "packages": package_versions,
        "unwanted packages": unwanted_packages,
        "codecs": codecs,
        "devices": devices,
        "memory": memory,
        "disk": disk,
        "tracking": tracking,
    }
    for name, look in looks.items():
        try:
            yield from look()
        except (ImportError, OSError, RuntimeError) as error:
            first_line = str(error).partition("\n")[0]
            yield Finding("software", name, "broken", first_line, "install medcnn again, with constraints.txt")


def python_version() -> Iterator[Finding]:
    """The interpreter, which pip also checks."""
    fine = sys.version_info >= (3, 11)
    advice = "" if fine else "install Python 3.11 or newer"
    yield Finding("software", "Python", "ok" if fine else "broken", platform.python_version(), advice)


def package_versions() -> Iterator[Finding]:
    """The packages in which a hole is known, against the oldest version without it."""
    for name, least in MINIMUM.items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Finding("software", name, "broken", "not installed", f"pip install '{name}>={least.version}'")
            continue
        if Version(found) >= Version(least.version):
            yield Finding("software", name, "ok", found)
        else:
            advice = f"known hole ({least.reason}): pip install '{name}>={least.version}'"
            yield Finding("software", name, "broken", found, advice)


def unwanted_packages() -> Iterator[Finding]:
    """Packages that should not be beside medcnn; silent where there are none."""
    for name, harm in UNWANTED.items():
        if importlib.util.find_spec(name) is not None:
            yield Finding("software", name, "warning", "installed", f"{harm}: pip uninstall {name}")


def codecs() -> Iterator[Finding]:
    """One line a transfer syntax: what opens it, or what would."""
    from medcnn.io.codecs import installed_codecs

    for uid, name, decoder, install in installed_codecs():
        if decoder:
            yield Finding("DICOM", name, "ok", decoder)
        else:
            yield Finding("DICOM", name, "missing", uid, install)


def devices() -> Iterator[Finding]:
    """What a net can run on. A GPU that this torch does not see is told apart from no GPU."""
    import torch

    from medcnn.machine import cores

    capability = torch.backends.cpu.get_cpu_capability()
    yield Finding("device", "cpu", "ok", f"{cores()} cores, {capability}, {torch.get_num_threads()} threads")
    for index in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(index)
        yield Finding("device", f"cuda:{index}", "ok", f"{card.name}, {card.total_memory / GIB:.0f} GiB")
    if torch.backends.mps.is_available():
        yield Finding("device", "mps", "ok", "Apple GPU")
    if not torch.cuda.is_available() and shutil.which("nvidia-smi"):
        advice = "a driver is here: install a CUDA build of torch, see pytorch.org/get-started"
        yield Finding("device", "cuda", "missing", f"torch {torch.__version__} sees no GPU", advice)


def memory() -> Iterator[Finding]:
    """Memory of the machine."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    short = total < LEAST_MEMORY
    advice = "lower data.init_args.cache_mb and data.init_args.batch_size" if short else ""
    yield Finding("machine", "memory", "warning" if short else "ok", f"{total / GIB:.0f} GiB", advice)


def disk() -> Iterator[Finding]:
    """Room where the program stands, for that is where runs and caches go."""
    free = shutil.disk_usage(Path.cwd()).free
    short = free < LEAST_DISK
    advice = "runs, checkpoints and caches are written here: make room" if short else ""
    yield Finding("machine", "disk", "warning" if short else "ok", f"{free / GIB:.0f} GiB free", advice)


def tracking() -> Iterator[Finding]:
    """The store of runs: there and writable, or to be made. An address is shown without its password."""
    from medcnn.tracking.store import sqlite_file, store_uri

    uri = store_uri()
    file = sqlite_file(uri)
    if file is None:
        yield Finding("tracking", "store", "ok", f"{_without_password(uri)} (not asked)")
    else:
        yield Finding("tracking", "store", *_sqlite_store(file))


def _sqlite_store(file: Path) -> tuple[State, str, str]:
    elsewhere = "make it writable, or set MLFLOW_TRACKING_URI to another"
    if not file.exists():
        if os.access(file.parent, os.W_OK):
            return "ok", f"{file.name}, made by the first run", ""
        return "broken", f"{file.name} is not there and its folder is read-only", elsewhere
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as store:
            (runs,) = store.execute("SELECT count(*) FROM runs").fetchone()
    except sqlite3.Error as error:
        return "broken", f"{file.name}: {error}", "move it away, or set MLFLOW_TRACKING_URI to another"
    if not os.access(file, os.W_OK):
        return "broken", f"{file.name} is read-only", elsewhere
    return "ok", f"{file.name}, {runs} runs", ""


def _without_password(uri: str) -> str:
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
