"""A report as one HTML file that needs nothing else: its style, its pictures and its tables stand in it.

It holds no script, fetches nothing, and its content security policy would let it do neither. Whatever comes from
outside (a manifest's columns, a series description) is escaped by the template, never joined into markup by hand.
"""

import base64
import hashlib
import struct
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from medcnn.report.page import wording
from medcnn.report.page.blocks import Block, Page, Picture
from medcnn.report.page.files import SHARPNESS, check_names, check_page_name, csv_of, pictures_of, put, tables_of
from medcnn.report.page.tables import Grid, grid

#: What every page says on top, whatever it found.
CAUTION = "Research software, no medical device: no result on this page should decide about a patient."
#: A picture's table is shown on the page, folded, where it is at most this long.
FOLDED_ROWS = 16


class Source(NamedTuple):
    """A picture as the page holds it; its size in CSS pixels, so that nothing moves while it loads."""

    uri: str
    width: int
    height: int


def render(page: Page) -> str:
    """The page as one HTML text.

    Raises:
        ValueError: If a name is unsafe or stands twice, or a picture is no PNG.
    """
    check_names(page)
    return _render(page, pictures_of(page))


def write_page(page: Page, folder: Path, name: str = "report.html") -> Path:
    """Write the page, and beside it ``tables/<name>.csv`` and ``pictures/<name>.png`` of every block.

    Each file appears whole or not at all, the page last; what else lies in the folder stays.

    Args:
        page: What to write.
        folder: Created if missing; its parent must be there or can be made.
        name: Of the page.

    Returns:
        Where the page lies.

    Raises:
        ValueError: If a name is unsafe or stands twice, or a picture is no PNG; nothing is written then.
    """
    check_names(page)
    check_page_name(name)
    pictures = pictures_of(page)
    content: dict[str, str | bytes] = {f"tables/{table}.csv": csv_of(frame) for table, frame in tables_of(page)}
    content |= {f"pictures/{picture}.png": png for picture, png in pictures.items()}
    put(content | {name: _render(page, pictures)}, folder)
    return folder / name


def security_policy(style: str) -> str:
    """What a browser may do with the page: show pictures that stand in it, and apply this one style."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _render(page: Page, pictures: Mapping[str, bytes]) -> str:
    style = _style()
    return _template().render(
        page=page,
        style=Markup(style),  # noqa: S704  # a file of this package
        policy=security_policy(style),
        sources=_sources(page, pictures),
    )


@cache
def _style() -> str:
    return files("medcnn.report.page").joinpath("page.css").read_text(encoding="utf-8")


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_visible, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"plain": wording.text, "share": wording.share, "count": wording.count}
    environment.globals |= {
        "kind": _kind,
        "grid": grid,
        "folded": _folded,
        "alone": _alone,
        "interval": wording.interval,
    }
    environment.globals |= {"NOT_PROVIDED": wording.NOT_PROVIDED, "CAUTION": CAUTION}
    return environment.from_string(files("medcnn.report.page").joinpath("page.html.j2").read_text(encoding="utf-8"))


def _visible(value: object) -> object:
    return wording.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _kind(block: Block) -> str:
    return type(block).__name__.lower()


def _folded(picture: Picture) -> Grid | None:
    """What was drawn, where it is short enough to be read beside the picture."""
    if picture.table is None or not 0 < len(picture.table) <= FOLDED_ROWS:
        return None
    return grid(picture.table, FOLDED_ROWS)


def _alone(blocks: Sequence[Block]) -> set[int]:
    """Places of pictures that have no neighbor to stand side by side with: the last of an odd row of them."""
    alone, row = set(), 0
    narrow = [isinstance(block, Picture) and not block.wide for block in blocks] + [False]
    for place in range(len(blocks)):
        row = row + 1 if narrow[place] else 0
        if row % 2 and not narrow[place + 1]:
            alone.add(place)
    return alone


def _sources(page: Page, pictures: Mapping[str, bytes]) -> dict[str, Source]:
    """Where each picture comes from, and its size: a figure was saved with more pixels than it is to take."""
    found = {}
    for block in page.blocks():
        if isinstance(block, Picture):
            png = pictures[block.name]
            width, height = struct.unpack(">II", png[16:24])
            dense = 1.0 if isinstance(block.picture, bytes) else SHARPNESS
            uri = "data:image/png;base64," + base64.b64encode(png).decode()
            found[block.name] = Source(uri, round(width / dense), round(height / dense))
    return found
