"""A real browser with the network cut finds nothing to ask for, nothing to complain of, and nothing too wide."""

from pathlib import Path

import pytest
from browser import MISSING, find_chromium, open_page
from sample_page import EVIL, page_of_all

from medcnn.report.page.html import write_page

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_chromium() is None, reason=MISSING)]

# What reaches beyond the window, besides what lies in a box that scrolls by itself.
TOO_WIDE = """[...document.querySelectorAll("body *")].filter(e => !e.closest(".scroll, .skip") &&
  e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName + " " + e.className)"""
STANDING = """({style: getComputedStyle(document.querySelector("main")).maxWidth, width: innerWidth,
  pictures: [...document.images].map(i => i.naturalWidth > 0), alerts: document.querySelectorAll("[onerror]").length,
  beside: getComputedStyle(document.querySelector("nav.beside")).display,
  fold: getComputedStyle(document.querySelector("details.fold")).display})"""


@pytest.mark.parametrize(("width", "beside", "fold"), [(1280, "block", "none"), (400, "none", "block")])
@pytest.mark.parametrize("word", ["a word", EVIL, "onewordwithoutanyplacetobreakit" * 12])
def test_a_page_asks_for_nothing_and_never_scrolls_sideways(
    word: str, width: int, beside: str, fold: str, tmp_path: Path
) -> None:
    loaded = open_page(write_page(page_of_all(word), tmp_path), width, script=STANDING)
    assert loaded.requests == []
    assert loaded.console == []
    assert loaded.scroll_width == width
    assert loaded.value["width"] == width
    assert loaded.value["style"] != "none", "the policy lets the style in"
    assert loaded.value["alerts"] == 0
    assert loaded.value["pictures"] == [True] * 3
    assert (loaded.value["beside"], loaded.value["fold"]) == (beside, fold)
    assert loaded.screenshot.startswith(b"\x89PNG")


def test_nothing_but_a_table_reaches_beyond_a_narrow_window(tmp_path: Path) -> None:
    assert open_page(write_page(page_of_all(), tmp_path), 400, script=TOO_WIDE).value == []


def test_the_browser_does_see_what_a_page_must_not_do(tmp_path: Path) -> None:
    path = tmp_path / "bad.html"
    path.write_text(
        "<img src='http://example.org/x.png'><script>console.log('said')</script><p style='width:900px'>wide"
    )
    loaded = open_page(path, 400)
    assert loaded.requests == ["http://example.org/x.png"]
    assert "said" in loaded.console
    assert loaded.scroll_width > 400
