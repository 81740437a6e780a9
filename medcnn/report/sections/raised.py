"""What a reader must not miss, wherever on the page it stands: warnings of sections, for its top and its limits."""

from collections.abc import Collection, Sequence

from medcnn.report.page.blocks import Section, Text

#: Sections whose warnings are told on top, each with the first few of them.
ON_TOP, FIRST = ("subgroups", "examination"), 4


def raised(sections: Sequence[Section], names: Collection[str] = ()) -> list[str]:
    """Every warning of the sections, in the order of the page; of those with these names alone where any are given."""
    return [
        block.text
        for section in sections
        if not names or section.name in names
        for block in section.blocks
        if isinstance(block, Text) and block.tone in ("warning", "bad")
    ]


def for_the_top(sections: Sequence[Section]) -> list[str]:
    """Flagged gaps and shortcuts, the first few of each section, and whatever is called a problem."""
    found = [
        block.text
        for section in sections
        if section.name not in ON_TOP
        for block in section.blocks
        if isinstance(block, Text) and block.tone == "bad"
    ]
    for section in sections:
        if section.name in ON_TOP:
            told = raised([section])
            found += told[:FIRST]
            if len(told) > FIRST:
                found.append(f'{len(told) - FIRST} more in the section "{section.title}".')
    return found
