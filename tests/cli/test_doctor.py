"""``medcnn doctor`` says the truth about an installation, also about a broken one."""

import json
import sqlite3
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from medcnn.cli import checkup
from medcnn.cli.checkup import Finding
from medcnn.cli.doctor import Doctor, as_text


@pytest.fixture
def in_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def looked_at() -> Finding:
    (finding,) = checkup.tracking()
    return finding


def states(findings: list[Finding]) -> dict[str, str]:
    return {finding.name: finding.state for finding in findings}


def test_this_installation_is_in_order(in_scratch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Doctor(format="json")() == 0
    told = json.loads(capsys.readouterr().out)
    by_name = {finding["name"]: finding for finding in told["findings"]}
    assert by_name["torch"]["found"] == metadata.version("torch")
    assert by_name["cpu"]["state"] == "ok"
    assert any(finding["part"] == "DICOM" for finding in told["findings"])
    assert all(finding["advice"] for finding in told["findings"] if finding["state"] != "ok")


def test_a_version_with_a_known_hole_is_named_with_the_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup.metadata, "version", lambda name: "3.0.1" if name == "pydicom" else "99")
    (broken,) = [finding for finding in checkup.package_versions() if finding.state == "broken"]
    assert broken.name == "pydicom"
    assert "CVE-2026-32711" in broken.advice
    assert "3.0.2" in broken.advice


def test_a_cpu_build_of_torch_satisfies_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup.metadata, "version", lambda name: "2.13.0+cpu" if name == "torch" else "99")
    assert set(states(list(checkup.package_versions())).values()) == {"ok"}


def test_a_missing_package_is_told_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(checkup.metadata, "version", nothing)
    assert set(states(list(checkup.package_versions())).values()) == {"broken"}


def test_torchvision_beside_us_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not list(checkup.unwanted_packages())
    (tmp_path / "torchvision.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    (warning,) = checkup.unwanted_packages()
    assert warning.state == "warning"
    assert "pip uninstall torchvision" in warning.advice


def test_a_store_that_is_not_there_yet_is_fine(in_scratch: Path) -> None:
    assert looked_at().state == "ok"
    assert not list(in_scratch.iterdir()), "looking must not make a store"


def test_a_store_tells_how_many_runs_it_has(in_scratch: Path) -> None:
    with sqlite3.connect("mlflow.db") as store:
        store.execute("CREATE TABLE runs (run_uuid TEXT)")
        store.execute("INSERT INTO runs VALUES ('a'), ('b')")
    assert looked_at().found == "mlflow.db, 2 runs"


def test_a_file_that_is_no_store_is_broken(in_scratch: Path) -> None:
    (in_scratch / "mlflow.db").write_text("patient,label\n1,0\n" * 100)
    assert looked_at().state == "broken"


def test_a_password_in_the_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://anna:s3cret@mlflow.example.org/")
    found = looked_at().found
    assert "s3cret" not in found
    assert "mlflow.example.org" in found


def test_little_disk_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup.shutil, "disk_usage", lambda _: SimpleNamespace(free=checkup.GIB))
    assert [finding.state for finding in checkup.disk()] == ["warning"]


def test_a_library_that_does_not_load_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def devices() -> Iterator[Finding]:
        raise ImportError("libtorch_cpu.so: cannot open shared object file\nand more")

    monkeypatch.setattr(checkup, "devices", devices)
    (broken,) = [finding for finding in checkup.checkup() if finding.state == "broken"]
    assert broken.name == "devices"
    assert broken.found == "libtorch_cpu.so: cannot open shared object file"


def test_something_broken_makes_the_exit_code_two(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("medcnn.cli.doctor.checkup", lambda: iter([Finding("software", "x", "broken", "1", "mend it")]))
    assert Doctor()() == 2
    assert "mend it" in capsys.readouterr().out


def test_every_state_is_counted_in_the_closing_line() -> None:
    findings = [
        Finding("a", "one", "ok", "1"),
        Finding("a", "two", "ok", "2"),
        Finding("b", "three", "missing", "", "x"),
    ]
    assert as_text(findings).endswith("2 ok, 1 missing")
