"""What ``medcnn inspect`` found, for people and for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medcnn.errors import ManifestError
from medcnn.io.contents import Image, Refused
from medcnn.io.find import REASONS
from medcnn.printable import printable

_TITLES = {
    "series": "DICOM series",
    "nifti": "NIfTI volumes",
    "mgh": "FreeSurfer volumes",
    "itk": "NRRD and MetaImage volumes",
    "film": "films",
}
_NAMES_SHOWN = 3


def as_json(images: Sequence[Image], refused: Sequence[Refused], hidden: int = 0) -> str:
    """One object with a list of images and a list of what would be skipped."""
    told: dict[str, Any] = {
        "images": [asdict(one) for one in images],
        "skipped": [asdict(one) for one in refused],
        "hidden": hidden,
    }
    return json.dumps(told, indent=2)


def as_text(images: Sequence[Image], refused: Sequence[Refused], hidden: int = 0) -> list[str]:
    """A table a kind of image, then what would be skipped, by reason."""
    lines: list[str] = []
    for kind, title in _TITLES.items():
        rows = [_row(one) for one in images if one.kind == kind]
        if rows:
            lines += [f"{len(rows)} {title}", *_table(rows), ""]
    if hidden:
        lines.append(f"{hidden} hidden files or folders ignored: their names begin with a dot")
    if not refused:
        return [*lines, "nothing would be skipped"]
    return [*lines, f"{sum(one.files for one in refused)} files would be skipped", *_reasons(refused)]


def pairs_in(folder: Path) -> list[str]:
    """Of a folder with images/ and labels/ how many pairs there are to learn from, in a line."""
    if not all((folder / name).is_dir() for name in ("images", "labels")):
        return []
    from medcnn.data.pairs import count_pairs

    try:
        pairs, images, labels = count_pairs(folder)
    except ManifestError as error:
        return [f"images and labels make no pairs: {error}"]
    return [f"pairs of image and label: {pairs}, by the names of {images} images and {labels} labels"]


def _row(image: Image) -> list[str]:
    size = " x ".join(map(str, image.shape))
    spacing = " x ".join(f"{one:.4g}" for one in image.spacing_mm)
    cells = [
        image.name,
        image.modality,
        size,
        f"{spacing} mm" if spacing else "spacing unknown",
        image.orientation,
        image.place,
        f"{image.dtype} {image.low:g} to {image.high:g}",
        image.photometric,
        image.syntax,
        ", ".join(image.flags),
        image.path if image.path != image.name else "",
        f"study {image.study}" if image.study else "",
        f"series {image.series}" if image.series else "",
    ]
    return [printable(cell) for cell in cells]


def _table(rows: list[list[str]]) -> list[str]:
    """Columns as wide as their widest cell; those that are empty in every row are left out."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width] for row in rows)
    return ["  " + "  ".join(cells).rstrip() for cells in padded]


def _reasons(refused: Sequence[Refused]) -> list[str]:
    lines = []
    for code in sorted({one.code for one in refused}, key=lambda code: -_files(refused, code)):
        these = [one for one in refused if one.code == code]
        names = ", ".join(printable(one.name) for one in these[:_NAMES_SHOWN]) + ", ..." * (len(these) > _NAMES_SHOWN)
        lines.append(f"  {_files(refused, code):>5}  {code}: {REASONS.get(code, '')} ({names})")
        # A series is refused for numbers that only its own sentence tells.
        lines += [f"         {printable(one.sentence)}" for one in these if one.files > 1 or len(these) == 1]
    return lines


def _files(refused: Sequence[Refused], code: str) -> int:
    return sum(one.files for one in refused if one.code == code)
