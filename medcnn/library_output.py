"""Text that libraries print, warn of or log: kept from every stream, because it quotes headers, paths and values.

medcnn's own text reaches the user; what a library writes is counted by its source and dropped. ``MEDCNN_DEBUG=1``
shows all of it, which can print patients' names.

Three layers, because a library has three ways to a stream: the file descriptors 1 and 2 (codecs in C), ``sys.stdout``
and ``sys.stderr`` (``print``, logging handlers, progress bars), and the interpreter's hooks (warnings, tracebacks).
"""

import contextlib
import io
import logging
import os
import re
import sys
import sysconfig
import threading
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from medcnn.printable import printable

#: Packages whose ``write`` to a stream is the user's: our own text, help texts and progress bars.
OWN_TEXT = frozenset(("medcnn", "argparse", "jsonargparse", "tqdm"))
#: Packages whose warnings are about the training and never about a file's content; shown, cut and escaped.
ABOUT_TRAINING = frozenset(("pytorch_lightning", "lightning_fabric"))

#: What was dropped in this process: ``(package, kind)`` to how many times.
dropped: Counter[tuple[str, str]] = Counter()

#: Where children that inherit the emptied descriptors find the ones that medcnn writes to.
_STREAMS_OF_PARENT = "MEDCNN_PARENT_STREAMS"
_ROOTS = [
    *(
        Path(sysconfig.get_paths()[name]) for name in ("purelib", "platlib", "stdlib")
    ),  # packages before what holds them
    Path(__file__).resolve().parents[1],
]


def debugging() -> bool:
    """Return whether ``MEDCNN_DEBUG`` asks for everything that libraries write."""
    return os.environ.get("MEDCNN_DEBUG", "0").lower() not in ("", "0", "false", "no")


def quiet_command() -> None:
    """Keep libraries off the terminal for as long as this process lives; the first thing that a command does.

    The descriptors 1 and 2 lead to nowhere from here on, and ``sys.stdout`` and ``sys.stderr`` write to where they led.
    An exception that nobody expects is printed by its places, without its message.
    """
    if debugging() or child_streams():  # the latter: done already
        return
    saved = [_stream_of_parent(number) or _duplicate(number) for number in (1, 2)]
    _empty_descriptors()
    sys.stdout = sys.__stdout__ = _filtered(_reopened(sys.stdout, saved[0]))  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _filtered(_reopened(sys.stderr, saved[1]))  # type: ignore[misc]
    os.environ[_STREAMS_OF_PARENT] = f"{os.getpid()}:{saved[0]}:{saved[1]}"
    sys.excepthook = lambda kind, error, trace: _print_places(kind, error, trace)
    threading.excepthook = lambda args: _print_places(args.exc_type, args.exc_value, args.exc_traceback)
    sys.unraisablehook = lambda args: _count(_package(args.exc_traceback), args.exc_type.__name__)


def quiet_worker() -> None:
    """Silence a process that has nothing to say to a user: a reader, a decoder, a loader of batches."""
    if debugging():
        return
    _empty_descriptors()
    warnings.simplefilter("ignore")
    logging.getLogger().addHandler(logging.NullHandler())  # else records of warnings go to the last resort


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Let only medcnn's own text through ``sys.stdout``, ``sys.stderr``, warnings and logging while the block runs."""
    if debugging():
        yield
        return
    streams, show, last = (sys.stdout, sys.stderr), warnings.showwarning, logging.lastResort
    counter, own = _Counting(logging.WARNING), _OwnLog(logging.WARNING)
    sys.stdout, sys.stderr = _filtered(sys.stdout), _filtered(sys.stderr)
    warnings.showwarning, logging.lastResort = _show_warning, None
    logging.getLogger().addHandler(counter)
    logging.getLogger("medcnn").addHandler(own)
    try:
        yield
    finally:
        logging.getLogger("medcnn").removeHandler(own)
        logging.getLogger().removeHandler(counter)
        warnings.showwarning, logging.lastResort = show, last
        sys.stdout, sys.stderr = streams


def child_streams() -> dict[str, Any]:
    """Return arguments of ``subprocess.Popen`` that let a ``medcnn`` child write to the streams of this process."""
    parent, *numbers = os.environ.get(_STREAMS_OF_PARENT, "").split(":")
    return dict(zip(("stdout", "stderr"), map(int, numbers), strict=True)) if parent == str(os.getpid()) else {}


def account() -> str:
    """Name what was dropped, without any of its content.

    >>> dropped.clear()
    >>> dropped["pydicom", "UserWarning"] += 3
    >>> account()
    'pydicom: 3 UserWarning'
    """
    return ", ".join(f"{package}: {count} {kind}" for (package, kind), count in sorted(dropped.items()))


class _Filtered:
    """A text stream that takes what medcnn writes and drops what a library writes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.buffer = io.BytesIO()  # bytes have no business here

    def write(self, text: str) -> int:
        """Write the text of the caller, escaped, or count it."""
        package = sys._getframe(1).f_globals.get("__name__", "").partition(".")[0]
        if package in OWN_TEXT:
            text = text.replace(" \b[", "[")  # how jsonargparse joins --print_config to its flags
            self._stream.write(_without_controls(_relative(text), bar=package == "tqdm"))
        elif text.strip():
            _count(package, "printed text")
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write nothing: medcnn does not use it."""
        _count(sys._getframe(1).f_globals.get("__name__", "").partition(".")[0], "printed text")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Counting(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        package = record.name.partition(".")[0]
        if package != "medcnn":
            _count(package, record.levelname)


class _OwnLog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        print(printable(record.getMessage()), file=sys.stderr)  # noqa: T201


def _filtered(stream: TextIO | None) -> Any:
    return stream if stream is None or isinstance(stream, _Filtered) else _Filtered(stream)


def _relative(text: str) -> str:
    """Cut the working folder out of the paths in a text: it names the user or the site, and adds nothing."""
    try:
        here = os.path.join(os.getcwd(), "")  # noqa: PTH109, PTH118  # the text is searched, no path is built
    except OSError:  # the folder is gone
        return text
    return re.sub(rf"(?<![\w./-]){re.escape(here)}(?=[\w.])", "", text) if here in text and here != os.sep else text


def _without_controls(text: str, *, bar: bool) -> str:
    """Escape what a terminal would act on, except line breaks and tabs, and the movements of a progress bar."""
    if text.isprintable():
        return text
    kept = ("\x1b[A", "\r", "\n") if bar else ("\n", "\t")
    return _escaped(text, kept)


def _escaped(text: str, kept: tuple[str, ...]) -> str:
    if not kept:
        return printable(text)
    return kept[0].join(_escaped(part, kept[1:]) for part in text.split(kept[0]))


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    package = _package_of(filename)
    if package not in ABOUT_TRAINING:
        _count(package, category.__name__)
        return
    text = " ".join(str(message).split())
    print(f"warning: {printable(text, 300)}", file=sys.stderr)  # noqa: T201


def _count(package: str, kind: str) -> None:
    dropped[package, kind] += 1


def _package(trace: TracebackType | None) -> str:
    frames = list(traceback.walk_tb(trace))
    return _package_of(frames[-1][0].f_code.co_filename) if frames else "unknown"


def _package_of(filename: str) -> str:
    return (_short(filename).parts or ("unknown",))[0].removesuffix(".py")


def _short(filename: str) -> Path:
    """The path of a source file from its package on; the folders above it name a user or a machine."""
    path = Path(filename)
    return next((path.relative_to(root) for root in _ROOTS if path.is_relative_to(root)), Path(path.name))


def _print_places(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """Print where an unexpected exception was raised: files, lines and types; its message can quote values."""
    if sys.stderr is None:
        return
    lines = ["medcnn stopped on an unexpected error; this is a bug:"]
    for frame, line in traceback.walk_tb(trace):
        lines.append(f"  {_short(frame.f_code.co_filename)}:{line} in {frame.f_code.co_name}")
    lines.append(" from ".join(f"{link.__module__}.{link.__qualname__}" for link in _kinds(kind, error)))
    if dropped:
        lines.append(f"hidden     {account()}")
    lines.append("MEDCNN_DEBUG=1 shows its message and what libraries print; both can hold patients' names")
    print("\n".join(printable(line) for line in lines), file=sys.stderr)  # noqa: T201


def _kinds(kind: type[BaseException], error: BaseException | None) -> list[type[BaseException]]:
    kinds, seen = [kind], {id(error)}
    while error is not None:
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if error is None or id(error) in seen:
            break
        seen.add(id(error))
        kinds.append(type(error))
    return kinds


def _duplicate(number: int) -> int:
    try:
        return os.dup(number)
    except OSError:  # closed by whoever started us
        return os.open(os.devnull, os.O_WRONLY)


def _empty_descriptors() -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(null, number)
    if null not in (1, 2):
        os.close(null)


def _stream_of_parent(number: int) -> int | None:
    """The stream behind the emptied descriptor that a process of ours (of a distributed training) inherited.

    A descriptor that leads somewhere is better than the same file opened again, for it shares its place in the file.
    """
    if not _leads_nowhere(number):
        return None
    parent, *numbers = os.environ.get(_STREAMS_OF_PARENT, "").split(":")
    if parent != str(os.getppid()) or len(numbers) != 2:
        return None
    with contextlib.suppress(OSError):  # /proc is Linux's; elsewhere the process that started us speaks for all
        return os.open(f"/proc/{parent}/fd/{numbers[number - 1]}", os.O_WRONLY | os.O_APPEND)
    return None


def _leads_nowhere(number: int) -> bool:
    try:
        return os.fstat(number).st_rdev == os.stat(os.devnull).st_rdev  # noqa: PTH116  # a device has no Path
    except OSError:  # closed
        return True


def _reopened(stream: TextIO | None, number: int) -> TextIO:
    """A text stream as ``stream`` was, over another descriptor, that can print every file name."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    with contextlib.suppress(AttributeError, OSError, ValueError):
        stream.flush()  # type: ignore[union-attr]
    return io.TextIOWrapper(
        os.fdopen(number, "wb"),
        encoding,
        "backslashreplace",
        line_buffering=getattr(stream, "line_buffering", True),
        write_through=getattr(stream, "write_through", False),
    )
