"""What libraries print, warn of and log stays off every stream; what medcnn prints reaches it."""

import logging
import os
import subprocess
import sys
import types
import warnings
from pathlib import Path

import pytest

from medcnn import library_output
from medcnn.library_output import quiet_libraries

#: A library with a patient's name in all that it emits, as source for a child process.
LIBRARY = """
import ctypes, logging, os, sys, threading, warnings
def speak(name):
    print(name); print(name, file=sys.stderr); sys.stdout.writelines([name]); sys.stdout.buffer.write(name.encode())
    print(name, file=sys.__stdout__); print(name, file=sys.__stderr__)
    os.write(1, name.encode()); os.write(2, name.encode())
    libc = ctypes.CDLL(None); libc.puts(name.encode()); libc.fflush(None); libc.perror(name.encode())
    warnings.warn(name); warnings.warn(name, DeprecationWarning)
    logging.getLogger("pydicom").error(name); logging.warning(name)
    own = logging.getLogger("nibabel.global"); own.addHandler(logging.StreamHandler()); own.error(name)
    thread = threading.Thread(target=fail, args=(name,)); thread.start(); thread.join()
    class Gone:
        def __del__(self): raise ValueError(name)
    Gone()
    try: fail(name)
    except ValueError:
        import traceback; traceback.print_exc(); logging.exception(name)
def fail(name): raise ValueError(name)
"""
ENTRY = """
import sys, types
library = types.ModuleType("library"); exec(open(sys.argv[1]).read(), library.__dict__)
from medcnn.cli import main as table
def call(name, words):
    logging = __import__("logging"); logging.getLogger("medcnn.data").warning("left out: %s", "3 of 4\\x1b[2J")
    library.speak("SECRETNAME")
    table.printed("12 of 12 files")
    if name == "fit": library.fail("SECRETNAME")
    return 0
exec("def printed(text): print(text)", table.__dict__)
table._call = call
table.run()
"""


def speak(tmp_path: Path, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "library.py").write_text(LIBRARY)
    entry = ENTRY.replace("table.run()", f"sys.argv = ['medcnn', {command!r}]; table.run()")
    words = [sys.executable, "-c", entry, str(tmp_path / "library.py")]
    return subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ | environment)


def test_no_way_to_a_stream_is_open_to_a_library(tmp_path: Path) -> None:
    done = speak(tmp_path, "score")
    assert done.returncode == 0
    assert done.stdout == "12 of 12 files\n"
    assert "SECRETNAME" not in done.stderr
    assert done.stderr.startswith("left out: 3 of 4\\x1b[2J\n")  # our own log, escaped


def test_a_bug_is_printed_by_its_places_alone(tmp_path: Path) -> None:
    done = speak(tmp_path, "fit")
    assert done.returncode == 1
    assert "SECRETNAME" not in done.stdout + done.stderr
    assert "builtins.ValueError" in done.stderr
    assert "medcnn/cli/main.py:" in done.stderr
    assert str(Path(library_output.__file__).parent) not in done.stderr
    assert "nibabel: 1 ERROR" in done.stderr
    assert "MEDCNN_DEBUG=1" in done.stderr


def test_debugging_shows_what_libraries_write(tmp_path: Path) -> None:
    done = speak(tmp_path, "fit", MEDCNN_DEBUG="1")
    assert done.stdout.count("SECRETNAME") >= 3
    assert "Traceback" in done.stderr


def test_streams_are_given_back_after_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    streams, show, last = (sys.stdout, sys.stderr), warnings.showwarning, logging.lastResort
    library = types.ModuleType("pydicom")
    exec("def speak(): print('SECRETNAME')", library.__dict__)
    library_output.dropped.clear()
    with quiet_libraries():
        library.speak()
    assert library_output.account() == "pydicom: 1 printed text"
    assert capsys.readouterr() == ("", "")
    assert ((sys.stdout, sys.stderr), warnings.showwarning, logging.lastResort) == (streams, show, last)


def test_a_warning_about_training_is_shown_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings(), quiet_libraries():
        warnings.simplefilter("always")
        place = Path(pytest.importorskip("pytorch_lightning").__file__)
        warnings.warn_explicit("the first\nline\x1b[2J", UserWarning, str(place.parent / "trainer.py"), 7)
        warnings.warn_explicit("SECRETNAME", UserWarning, str(place.parents[1] / "pydicom" / "valuerep.py"), 7)
    assert capsys.readouterr().err == "warning: the first line\\x1b[2J\n"


def test_a_progress_bar_moves_and_its_text_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    from tqdm import tqdm

    with quiet_libraries(), tqdm(total=2, desc="a\x1b[2J\u202e", file=sys.stderr) as bar:
        bar.update(2)
    error = capsys.readouterr().err
    assert "2/2" in error
    assert "\r" in error
    assert "a\\x1b[2J\\u202e" in error
    assert "\x1b[2J" not in error


def test_paths_are_printed_relative_to_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.chdir(tmp_path / "tmp")
    own = types.ModuleType("medcnn.cli.planted")
    exec("def speak(text): print(text)", own.__dict__)
    with quiet_libraries():
        own.speak(f"cannot write {tmp_path}/tmp/out/a.csv; /var{tmp_path}/tmp/b stays, {tmp_path}/c too")
    assert capsys.readouterr().out == f"cannot write out/a.csv; /var{tmp_path}/tmp/b stays, {tmp_path}/c too\n"


def test_a_child_command_writes_to_the_same_streams() -> None:
    child = "from medcnn.library_output import quiet_command as q; q(); import argparse;"
    child += "argparse.ArgumentParser(prog='own', add_help=False).print_usage()"
    parent = (
        "import subprocess, sys; from medcnn.library_output import child_streams, quiet_command; quiet_command();"
        f"subprocess.run([sys.executable, '-c', {child!r}], **child_streams())"
    )
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, check=True)
    assert done.stdout == "usage: own\n"


def test_a_child_in_a_log_file_overwrites_nothing(tmp_path: Path) -> None:
    child = "from medcnn.library_output import quiet_command as q; q(); import argparse;"
    child += "argparse.ArgumentParser(prog='own', add_help=False).print_usage()"
    parent = (
        "import argparse, subprocess, sys; from medcnn.library_output import child_streams, quiet_command;"
        "quiet_command(); say = argparse.ArgumentParser(prog='parent', add_help=False).print_usage; say();"
        "sys.stdout.flush();"
        f"subprocess.run([sys.executable, '-c', {child!r}], **child_streams()); say()"
    )
    with (tmp_path / "log").open("w") as log:
        subprocess.run([sys.executable, "-c", parent], stdout=log, check=True)
    assert (tmp_path / "log").read_text() == "usage: parent\nusage: own\nusage: parent\n"


def test_a_help_text_joins_print_config_to_its_flags(capsys: pytest.CaptureFixture[str]) -> None:
    own = types.ModuleType("medcnn.cli.planted")
    exec("def speak(text): print(text)", own.__dict__)
    with quiet_libraries():
        own.speak("--print_config \b[=flags]")
    assert capsys.readouterr().out == "--print_config[=flags]\n"
