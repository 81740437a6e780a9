"""The page is one file: nothing in it is fetched, nothing in it runs, and what was planted stays text."""

import base64
import hashlib
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sample_page import EVIL, Seen, page_of_all, png

from medcnn.metrics.estimate import Estimate
from medcnn.report.figures.canvas import plain_figure
from medcnn.report.page.blocks import Checklist, Headline, Item, Page, Picture, Section, Table, Text
from medcnn.report.page.html import render, write_page

VOID = {"meta", "link", "img", "br", "hr"}


def section(*blocks: object) -> Page:
    return Page("t", "", [Section("one", "One", blocks)])  # type: ignore[arg-type]


def said(page: Page) -> str:
    return " ".join(" ".join(Seen(render(page)).texts).split())


def test_markup_that_was_planted_anywhere_stays_text() -> None:
    seen = Seen(render(page_of_all(EVIL)))
    assert not seen.attributes("onerror")
    assert all(source.startswith("data:image/png;base64,") for source in seen.attributes("src"))
    # title, heading, subtitle, warning, section, contents twice, headline twice, texts, facts, table, list, foot ...
    assert sum(text.count(EVIL) for text in seen.texts) >= 20
    assert seen.attributes("alt").count(EVIL) == 3


def test_the_policy_allows_the_one_style_and_pictures_that_stand_in_the_page() -> None:
    html = render(page_of_all())
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = [tag["content"] for name, tag in Seen(html).tags if tag.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert rules["style-src"] == f"'sha256-{digest}'"
    assert "unsafe" not in policy


def test_nothing_is_loaded_and_nothing_runs() -> None:
    html = render(page_of_all("http://example.org/x.png"))
    seen = Seen(html)
    for address in [*seen.attributes("src"), *seen.attributes("href"), *seen.attributes("srcset")]:
        assert address.startswith(("data:", "#"))
    assert not {"script", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in seen.tags}
    assert not [key for _, found in seen.tags for key in found if key.startswith("on") or key == "style"]
    assert "@import" not in html
    assert "url(" not in html


def test_anchors_are_unique_and_every_one_of_the_contents_is_there() -> None:
    seen = Seen(render(page_of_all()))
    ids = seen.attributes("id")
    assert len(set(ids)) == len(ids)
    assert {address[1:] for address in seen.attributes("href") if address.startswith("#")} <= set(ids)
    assert {"summary", "facts", "tables", "pictures", "points"} <= set(ids)


def test_every_tag_is_closed_and_headings_do_not_skip_a_level() -> None:
    html = render(page_of_all())
    opened = [tag for tag, _ in Seen(html).tags if tag not in VOID]
    assert sorted(opened) == sorted(re.findall(r"</([a-z0-9]+)>", html))
    levels = [int(tag[1]) for tag in opened if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_a_page_says_what_a_reader_needs_without_seeing_it() -> None:
    seen = Seen(render(page_of_all()))
    tags = [tag for tag, _ in seen.tags]
    assert ("html", {"lang": "en"}) in seen.tags
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in seen.tags
    assert tags.count("img") == len(seen.attributes("alt")) == 3
    assert tags.count("table") == tags.count("caption")
    assert all(found.get("scope") in ("col", "row") for tag, found in seen.tags if tag == "th")


def test_an_empty_page_is_a_page() -> None:
    assert "There is nothing to report" in said(Page("Nothing", "", []))
    assert "One" in said(section())


def test_a_headline_tells_value_interval_and_on_what_it_stands() -> None:
    figure = Estimate(0.91234, 0.8743, 0.9412, 12624, 598, 390, "DeLong")
    told = said(section(Headline({"AUROC": figure})))
    for words in ("AUROC", "0.912", "0.874 to 0.941",
                  "95 % interval, DeLong", "n = 12,624, 598 patients, 390 with the finding"):  # fmt: skip
        assert words in told


def test_a_headline_without_a_value_tells_why() -> None:
    told = said(section(Headline({"AUROC": Estimate(float("nan"), n=3, reason="one class alone")})))
    assert "not known" in told
    assert "one class alone" in told
    assert "nan" not in told.lower()


def test_no_figure_that_cannot_be_told_reads_nan() -> None:
    frame = pd.DataFrame({"a": [np.nan, np.inf, -np.inf], "b": ["x", None, "y"], "p": [0.00001, 0.5, np.nan]})
    told = said(section(Table("t", frame)))
    assert "nan" not in told.lower().replace("not known", "")
    assert "None" not in told
    assert "infinity" in told
    assert "minus infinity" in told
    assert "< 0.001" in told


def test_a_long_table_shows_its_first_rows_and_says_how_many_the_file_holds(tmp_path: Path) -> None:
    frame = pd.DataFrame({"case": [f"c{k}" for k in range(100_000)], "value": np.arange(100_000) / 7})
    page = section(Table("cases", frame, "Cases.", 5))
    path = write_page(page, tmp_path / "report")
    html = path.read_text()
    assert len(html) < 30_000
    assert "c4" in html
    assert ">c5<" not in html
    assert "5 of 100,000 rows; 99,995 more in" in said(page)
    written = pd.read_csv(tmp_path / "report" / "tables" / "cases.csv")
    pd.testing.assert_frame_equal(written, frame, check_dtype=False)


def test_a_picture_shows_the_figures_behind_it_only_where_they_are_few() -> None:
    few, many = pd.DataFrame({"x": range(3)}), pd.DataFrame({"x": range(300)})
    assert "The figures behind it" in said(section(Picture("a", png(), "alt", few)))
    told = said(section(Picture("a", png(), "alt", many)))
    assert "The figures behind it" not in told
    assert "300 rows" in told


def test_what_was_not_provided_is_said_and_muted() -> None:
    html = render(page_of_all())
    assert '<dd class="unknown">not provided</dd>' in html
    assert "1 of 2 points answered" in said(page_of_all())


def test_the_same_page_is_the_same_text() -> None:
    assert render(page_of_all()) == render(page_of_all())


@pytest.mark.parametrize("name", ["Two Words", "../up", "UPPER", "", "a" * 200, "one_two"])
def test_an_anchor_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name of a section"):
        render(Page("t", "", [Section(name, "One", [])]))


def test_control_characters_and_turned_text_do_not_reach_the_page() -> None:
    html = render(section(Text("a\x00b\u202ec\ud800d")))
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e]", html)
    html.encode("utf-8")


def test_a_picture_without_a_neighbor_has_the_row_for_itself() -> None:
    narrow = [Picture(f"n{k}", png(), "alt") for k in range(3)]
    wide = Picture("w", png(), "alt", wide=True)
    for blocks, alone in (
        (narrow, [2]), (narrow[:2], []), ([narrow[0], Text("a"), narrow[1], narrow[2]], [0]), ([narrow[0], wide], [0]),
    ):  # fmt: skip
        classes = [found.get("class") for tag, found in Seen(render(section(*blocks))).tags if tag == "figure"]
        expected = [place in alone for place, block in enumerate(blocks) if isinstance(block, Picture)]
        assert [name == "alone" for name in classes] == expected


def test_a_picture_keeps_the_size_it_was_drawn_in() -> None:
    figure, _ = plain_figure(5, 4, "title")
    (image,) = [found for tag, found in Seen(render(section(Picture("a", figure, "alt")))).tags if tag == "img"]
    assert (image["width"], image["height"]) == ("550", "440")


def test_what_is_no_png_is_refused() -> None:
    with pytest.raises(ValueError, match="picture 'a': expected the bytes of a PNG"):
        render(section(Picture("a", b"<svg onload=alert(1)>", "alt")))


def test_a_folded_table_and_a_folded_checklist_wait_to_be_opened() -> None:
    frame = pd.DataFrame({"a": ["behind"]})
    blocks = [Table("open", frame), Table("shut", frame, "All versions.", folded=True)]
    items = [Item("1", "t", "asks", "answer")]
    lists = [Checklist("claim", "Claim", items), Checklist("tripod", "Tripod", items, folded=True)]
    html = render(Page("t", "", [Section("s", "S", [*blocks, *lists])]))
    assert html.count("<summary>All versions.</summary>") == 1
    assert html.count("<summary>Its 1 points</summary>") == 1
    assert html.count("<details>") == html.count("</details>") - 1 == 2  # the third folds the contents


def test_every_page_says_that_it_is_no_medical_device() -> None:
    assert "no medical device: no result on this page should decide about a patient" in render(Page("t", "", []))


def test_a_tile_tells_cases_with_the_finding_only_where_some_have_it_and_some_have_not() -> None:
    figures = {name: Estimate(0.9, n=30, patients=30, events=events) for name, events in
               (("mixed", 12), ("sensitivity", 30), ("specificity", 0))}  # fmt: skip
    html = render(Page("t", "", [Section("s", "S", [Headline(figures)])]))
    assert html.count("with the finding") == 1
    assert "12 with the finding" in html
