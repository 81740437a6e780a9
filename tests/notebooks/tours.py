"""Run a tour as a reader would: every cell, in a folder of its own."""

import ast
import os
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from processes import TIME_LIMIT_S

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"


def sources(path: Path) -> list[tuple[str, str]]:
    """Kind and text of every cell."""
    return [(cell.cell_type, cell.source) for cell in jupytext.read(path).cells]


def definitions(path: Path) -> list[str]:
    """What the code of a notebook defines: functions, classes, lambdas."""
    code = "\n".join(text for kind, text in sources(path) if kind == "code")
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    return [type(node).__name__ for node in ast.walk(ast.parse(code)) if isinstance(node, kinds)]


def executed(name: str, folder: Path) -> Any:
    """The notebook after every cell ran in ``folder``; a cell that raises is an error here."""
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    # A store that the caller's shell names is not the tour's.
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    client = NotebookClient(notebook, timeout=int(TIME_LIMIT_S), resources={"metadata": {"path": str(folder)}})
    return client.execute(env=environment)


def complaints(notebook: Any) -> list[str]:
    """Lines by which a verb says that it could not do what it was asked."""
    texts = [out.get("text", "") for cell in notebook.cells for out in cell.get("outputs", [])]
    return [line for text in texts for line in text.splitlines() if line.startswith("medcnn ")]
