"""Where on a page something is answered: a section counts only where it holds a figure, a picture or a fact."""

import math
from collections.abc import Callable, Sequence

from medcnn.metrics.estimate import Estimate
from medcnn.report.facts import RunFacts
from medcnn.report.page.blocks import Facts, Headline, Page, Picture, Section, Table


def points_to(*places: tuple[str, ...]) -> Callable[[RunFacts, Page], str]:
    """Points to the first of these sections that holds what is asked; each a name, and names of its blocks."""
    return lambda facts, page: next(filter(None, (section_that_holds(page, *place) for place in places)), "")


def section_that_holds(page: Page, name: str, *blocks: str) -> str:
    """Points to a section where it holds something; "" where it only says that nothing is known.

    Args:
        page: The report.
        name: Of the section.
        blocks: Beginnings of names of tables and pictures, of which one must be there; any will do where none is named.
    """
    found = [section for section in page.sections if section.name == name and _holds(section, blocks)]
    return f'See the section "{found[0].title}".' if found else ""


def _holds(section: Section, names: Sequence[str]) -> bool:
    """Whether one of these tables or pictures stands there, with a figure that is known."""
    for block in section.blocks:
        if isinstance(block, Facts | Headline) and not names:
            return True
        if isinstance(block, Table | Picture) and (not names or block.name.startswith(tuple(names))):
            cells = block.frame.to_numpy().ravel() if isinstance(block, Table) else ()
            figures = [cell for cell in cells if isinstance(cell, Estimate)]
            if not figures or any(not math.isnan(figure.value) for figure in figures):
                return True
    return False
