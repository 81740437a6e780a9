"""An audit as files: a summary, tables, and pictures of the pairs."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from medcnn.data.audit import Audit
from medcnn.files import write_atomic
from medcnn.io.medmnist import SPLITS, read_npz
from medcnn.io.read import read_film
from medcnn.spreadsheet import write_frame

_SIDE = 192
_MOST = 24


def write_audit(audit: Audit, folder: Path) -> list[Path]:
    """Writes ``audit.json``, tables of all files and pairs, and contact sheets; returns what was written.

    The tables name files, relative to the cohort: they stay on this machine.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    near = near_table(audit)
    tables = {
        "files.csv": audit.cases,
        "exact_copies.csv": _named(audit, audit.copies),
        "near_copies.csv": near,
        "unreadable.csv": audit.cases.loc[audit.cases["reason"] != "", ["path", "reason"]],
    }
    for name, table in tables.items():
        write_frame(folder / name, table)
    summary = json.dumps(audit.summary(), indent=2) + "\n"
    write_atomic(folder / "audit.json", lambda draft: draft.write_text(summary, "utf-8"))
    written = [folder / "audit.json", *(folder / name for name in tables)]
    copies = [(int(a), int(b), _differences(row)) for (a, b), row in _pairs(audit.copies)]
    alike = [
        (int(a), int(b), f"{score:.3f}") for (a, b), score in zip(audit.near.pairs, audit.near.scores, strict=True)
    ]
    # Copies that contradict something come first; without near copies, the closest pairs show what is spared.
    copies.sort(key=lambda pair: -len(pair[2]))
    for name, pairs in (("exact_copies.png", copies), ("near_copies.png", alike)):
        if pairs:
            write_atomic(folder / name, contact_sheet(audit, pairs[:_MOST]).save)
            written.append(folder / name)
    return written


def near_table(audit: Audit) -> pd.DataFrame:
    """The pairs that look alike, the closest first: those above the threshold, and the next 50 below it."""
    shown = audit.near.found + 50
    pairs = pd.DataFrame(audit.near.pairs[:shown], columns=["first", "second"])
    table = _named(audit, pairs)
    table["score"] = audit.near.scores[:shown]
    table["near_copy"] = np.arange(len(table)) < audit.near.found
    cases = audit.cases
    for name in ("label", "split", "patient"):
        column = cases[name].to_numpy()
        table[f"same_{name}"] = column[pairs["first"]] == column[pairs["second"]]
    return table


def contact_sheet(audit: Audit, pairs: list[tuple[int, int, str]]) -> Image.Image:
    """Pairs of films side by side with their names and a remark, two pairs a row."""
    height, width = _SIDE + 40, 2 * _SIDE + 16
    sheet = Image.new("L", (2 * width, -(-len(pairs) // 2) * height), 24)
    draw = ImageDraw.Draw(sheet)
    archive = read_npz(audit.root) if audit.root.suffix == ".npz" else None
    for number, (first, second, remark) in enumerate(pairs):
        left, top = (number % 2) * width, (number // 2) * height
        for side, row in enumerate((first, second)):
            name = str(audit.cases["path"][row])
            sheet.paste(_picture(audit.root, name, archive), (left + side * _SIDE, top))
            draw.text((left + side * _SIDE + 4, top + _SIDE + 2), name[-30:], fill=220)
        labels = " / ".join(str(audit.cases["label"][row]) for row in (first, second))
        draw.text((left + 4, top + _SIDE + 18), f"{labels}   {remark}"[:62], fill=255)
    return sheet


def _picture(root: Path, name: str, archive: dict[str, np.ndarray] | None) -> Image.Image:
    if archive is None:
        pixels = read_film(root / name).pixels
    else:
        split, _, row = name.partition(" ")
        assert split in SPLITS
        pixels = archive[f"{split}_images"][int(row)]
    values = pixels.astype(np.float32)
    while values.ndim > 2:
        values = values.mean(axis=-1 if values.shape[-1] == 3 else 0)
    low, high = np.percentile(values, [0.5, 99.5])
    shown = np.clip((values - low) / max(float(high - low), 1e-6) * 255, 0, 255).astype(np.uint8)
    return Image.fromarray(shown).resize((_SIDE - 4, _SIDE - 4))


def _pairs(table: pd.DataFrame) -> list[tuple[tuple[int, int], pd.Series]]:
    return [((row["first"], row["second"]), row) for _, row in table.iterrows()]


def _named(audit: Audit, pairs: pd.DataFrame) -> pd.DataFrame:
    paths = audit.cases["path"].to_numpy()
    return pairs.assign(first=paths[pairs["first"]], second=paths[pairs["second"]])


def _differences(row: pd.Series) -> str:
    told = [f"other {name}" for name in ("label", "split", "patient") if not row[f"same_{name}"]]
    return ", ".join(told)
