"""The house holds: bounds, layers, light help, small modules, a wheel that is whole."""

import ast
import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from processes import finished

from medcnn.cli.checkup import MINIMUM
from medcnn.cli.main import LIGHTNING, VERBS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "medcnn"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = ("torch", "monai", "mlflow", "pytorch_lightning", "pandas", "pydicom", "matplotlib", "sklearn")

# The first versions without the hole, written out a second time on purpose.
ADVISORIES = {
    "torch": "2.13",  # GHSA-rrmf-rvhw-rf47
    "pytorch-lightning": "2.6.6",  # GHSA-w37p-236h-pfx3, CVE-2026-58659
    "monai": "1.6.1",  # GHSA-89gg, GHSA-wg9g, GHSA-rghg, GHSA-qxq5
    "mlflow": "3.16.1",  # a default admin password before
    "pydicom": "3.0.2",  # CVE-2026-32711
}


def python(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return finished([sys.executable, *words], cwd=cwd, text=True)


def requirements() -> dict[str, Requirement]:
    extras = PROJECT["project"]["optional-dependencies"]
    lines = [*PROJECT["project"]["dependencies"], *extras["dev"]]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


@pytest.mark.parametrize("name", ADVISORIES)
def test_no_bound_lets_a_known_hole_in(name: str) -> None:
    least = Version(ADVISORIES[name])
    bounds = [Version(part.version) for part in requirements()[name].specifier if part.operator == ">="]
    assert max(bounds) >= least
    assert Version(pins()[name]) >= least
    assert Version(MINIMUM[name].version) == least, "medcnn doctor and this test know the same holes"


def test_doctor_knows_every_hole() -> None:
    assert set(MINIMUM) == set(ADVISORIES)


def test_every_requirement_is_pinned_inside_its_bounds() -> None:
    tested = pins()
    for name, requirement in requirements().items():
        assert requirement.specifier.contains(tested[name]), f"constraints.txt has {name} {tested[name]}"


def test_whatever_an_install_brings_is_pinned() -> None:
    tested, waiting, seen = pins(), [Requirement("medcnn[dev]")], set()
    while waiting:
        wanted = waiting.pop()
        if str(wanted) in seen:
            continue
        seen.add(str(wanted))
        for line in metadata.requires(wanted.name) or []:
            part = Requirement(line)
            chosen = [{"extra": extra} for extra in (wanted.extras or {""})]
            if part.marker is None or any(part.marker.evaluate(extra) for extra in chosen):
                waiting.append(part)
    brought = {canonicalize_name(Requirement(line).name) for line in seen} - {"medcnn", "pip", "setuptools"}
    assert brought <= set(tested), f"constraints.txt lacks {sorted(brought - set(tested))}"


def test_a_pin_is_a_public_version() -> None:
    # A local version such as 2.13.0+cpu is nowhere to be had but on the machine that wrote it.
    assert not [name for name, version in pins().items() if "+" in version]
    assert not {"pip", "setuptools", "medcnn"} & set(pins())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_can_be_held_in_mind(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 450
    tree = ast.parse(text)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= 60]
    assert not long, f"functions above 60 lines: {long}"
    assert not re.search(r"utils|common|helpers|manager|handler", path.stem)
    if path.name == "__init__.py" and path.parent != PACKAGE:
        assert all(isinstance(node, ast.Expr) for node in tree.body), "an __init__ holds at most a docstring"


@pytest.mark.parametrize("verb", [None, *(name for name in VERBS if name not in LIGHTNING)])
def test_help_imports_nothing_heavy(verb: str | None) -> None:
    words = [verb, "--help"] if verb else ["--help"]
    program = (
        "import sys\nfrom medcnn.cli.main import main\n"
        f"try:\n    code = main({words!r})\nexcept SystemExit as stop:\n    code = stop.code\n"
        f"print(code or 0, *sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = python("-c", program)
    assert done.stdout.splitlines()[-1:] == ["0"], done.stdout[-500:] + done.stderr[-2000:]


def heavy_in(names: list[str]) -> str:
    """Which heavy packages a fresh process holds after importing ``names``."""
    program = f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
    done = python("-c", program + "print(*sorted({'torch', 'monai', 'mlflow', 'matplotlib'} & set(sys.modules)))")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_reading_files_imports_neither_torch_nor_monai() -> None:
    # A decoding worker imports io alone; torch would cost it seconds and hundreds of megabytes.
    names = [f"medcnn.io.{path.stem}" for path in sorted((PACKAGE / "io").glob("*.py")) if path.stem != "__init__"]
    assert not heavy_in(names)


def test_stripping_a_head_imports_neither_torch_nor_monai() -> None:
    # What a process that strips a head needs beyond its reader: torch alone would take more than all the work.
    assert not heavy_in(["medcnn.transforms.brain"])


def contracts() -> list[dict[str, object]]:
    return list(PROJECT["tool"]["importlinter"]["contracts"])


def test_every_room_stands_in_the_contracts() -> None:
    rooms = {f"medcnn.{path.parent.name}" for path in PACKAGE.glob("*/__init__.py")}
    named = {room for contract in contracts() for room in contract.get("source_modules", [])}  # type: ignore[attr-defined]
    assert rooms - {"medcnn.cli"} <= named


# A line that must not be, where it would stand, and words of the contract that forbids it.
PLANTED = [
    ("errors.py", "import medcnn.io", "the modules at the base import no other package of medcnn"),
    ("io/planted.py", "import medcnn.tasks", "io and transforms know errors alone"),
    ("transforms/planted.py", "import medcnn.io", "do not know each other"),
    ("nets/planted.py", "import medcnn.data", "nets, losses and metrics know no room but errors"),
    ("data/planted.py", "def late():\n    import medcnn.losses", "data knows io and transforms"),
    ("tasks/planted.py", "import medcnn.nets.resnet", "tasks know losses and metrics"),
    ("report/planted.py", "import medcnn.io", "explain and report know metrics"),
    ("tracking/planted.py", "import medcnn.data", "tracking knows explain and report"),
    ("scoring/planted.py", "import medcnn.tracking", "scoring knows io"),
    ("data/planted_dicom.py", "import pydicom", "DICOM and NIfTI stay in io"),
    ("cli/planted.py", "import mlflow", "MLflow stays in tracking"),
    ("tasks/planted_parser.py", "import jsonargparse", "the reading of configurations stays in cli"),
    ("nets/planted_vision.py", "import torchvision", "no torchvision"),
]


@pytest.mark.slow
def test_a_planted_import_breaks_each_contract(tmp_path: Path) -> None:
    linter = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if linter is None:
        pytest.skip("needs import-linter: pip install import-linter")
    shutil.copytree(PACKAGE, tmp_path / "medcnn", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for place, line, _ in PLANTED:
        with (tmp_path / "medcnn" / place).open("a") as module:
            module.write(f"\n{line}\n")
    done = subprocess.run(
        [linter, "--no-cache"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(tmp_path)},
        check=False,
    )
    broken = [line for line in done.stdout.splitlines() if "BROKEN" in line]
    assert done.returncode == 1, done.stdout + done.stderr
    for _, line, words in PLANTED:
        assert any(words in text for text in broken), f"{line!r} broke no contract"
    assert len(broken) == len(contracts()), "each contract has a line that breaks it"


@pytest.mark.slow
def test_the_wheel_is_whole(tmp_path: Path) -> None:
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("needs hatchling: pip install hatchling")
    words = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path), str(ROOT))
    done = python("-m", "pip", "wheel", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("medcnn-*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    # Templates, styles and tables of the package as well as its modules.
    parts = [path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    expected = {f"medcnn/{path.relative_to(PACKAGE).as_posix()}" for path in parts}
    configs = {f"medcnn/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "configs").rglob("*.yaml")}
    assert configs
    assert expected | configs <= inside
    assert not [name for name in inside if name.startswith(("tests/", "benchmarks/", "docs/"))]


def written() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("needs the git checkout")
    kinds = {".py", ".md", ".yaml", ".yml", ".toml", ".txt", ""}
    paths = [ROOT / line for line in listed.stdout.splitlines()]
    return [path for path in paths if path.suffix in kinds and path.is_file() and path != Path(__file__).resolve()]


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"(?<![\w.])/work/", "a path of one machine"),
        (
            r"(?i)\b(artefact|colour|behaviour|licence|normalis|initialis|optimis|serialis|visualis)",
            "American spelling",
        ),
        (r"\bpickle\.(loads?\b|Unpickler\b)|weights_only=False|allow_pickle=True", "nothing is unpickled"),
    ],
)
def test_written_material_is_free_of(pattern: str, why: str) -> None:
    # Tests may unpickle: they show what a hostile file would do.
    kept = [path for path in written() if why != "nothing is unpickled" or path.is_relative_to(PACKAGE)]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in kept
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert not found, f"{why}:\n" + "\n".join(found)


def test_yaml_is_loaded_within_limits_only() -> None:
    # cli/parsing.py hands a checked text to jsonargparse's own loader.
    loads = re.compile(r"\byaml\.(safe_load|load|full_load|unsafe_load|load_all|safe_load_all)\(")
    found = [path.name for path in MODULES if loads.search(path.read_text())]
    assert found == ["yaml_reader.py"]


def test_ci_and_hooks_call_the_make_targets() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name in (".ci/run", ".github/workflows/ci.yml", ".pre-commit-config.yaml"):
        called = set(re.findall(r"\bmake ([a-z]+)$", (ROOT / name).read_text(), re.MULTILINE))
        assert {"lint", "test"} <= called <= targets, name
