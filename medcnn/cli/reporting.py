"""From what is judged to a page in a folder, and into the run."""

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from medcnn.cli.judged import Judged
from medcnn.errors import ReportError
from medcnn.metrics.estimate import Estimate
from medcnn.report.classification_page import classification_page
from medcnn.report.comparison import comparison_sections
from medcnn.report.facts import RunFacts
from medcnn.report.guidelines.about import about_template, checked_about
from medcnn.report.guidelines.lists import guidelines_section
from medcnn.report.model_card import model_card
from medcnn.report.page.blocks import Headline, Page, Section
from medcnn.report.page.html import write_page
from medcnn.report.segmentation_comparison import compared_cases_section
from medcnn.report.segmentation_page import segmentation_page
from medcnn.yaml_reader import YamlError, read_yaml

#: Beside the page: what only people know of the model, to be filled in and given back with --about.
ABOUT = "about.yaml"
PAGE = "report.html"
_OURS = re.compile(r'<meta name="generator" content="medcnn">')
# Far beyond the head of a page, far short of its pictures.
_HEAD = 65536


def said_about(path: Path | None) -> dict[str, str]:
    """What a person wrote about the model.

    Raises:
        ReportError: The file does not read, or says what nobody asked.
    """
    if path is None:
        return {}
    if not path.is_file():
        what = f"{path.name} is a folder" if path.is_dir() else f"there is no file {path.name}"
        raise ReportError(f"{what}: give a YAML file with --about, as the {ABOUT} that stands beside each page")
    try:
        return checked_about(read_yaml(path))
    except YamlError as error:
        raise ReportError(
            f"{error}; expected lines 'key: text', and a text with a colon in it needs quotes, as key: \"one: two\""
        ) from None


def page_of(first: Judged, second: Judged | None, prevalence: float | None) -> Page:
    """The page of a classifier or of a segmentation, with a second model beside the first where one is given.

    Raises:
        ReportError: The two cannot be compared.
    """
    beside = [] if second is None else _beside(first, second)
    page = _page_without_guidelines(first, prevalence)
    page = replace(page, sections=[*page.sections, *beside])
    return replace(page, sections=[*page.sections, guidelines_section(first.facts, page)])


def check_place(out: Path) -> None:
    """Refuse a folder that holds something else than a report: its files would be mixed with those of a page.

    Raises:
        ReportError: The folder holds files, and no report among them.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / PAGE).exists() and not (out / ABOUT).exists():
        raise ReportError(f"{out.resolve().name} holds other files and no report: give a folder of its own with --out")


def cleared(out: Path) -> bool:
    """Take the tables and pictures of a page of medcnn out of a folder; whether such a page stood there.

    Other files stay, and so does everything beside a page that another program wrote.
    """
    if not _made_here(out / PAGE):
        return False
    for folder, ending in (("tables", "*.csv"), ("pictures", "*.png")):
        for old in (out / folder).glob(ending):
            if old.is_file() or old.is_symlink():
                old.unlink()
    return True


def _made_here(page: Path) -> bool:
    if not page.is_file():
        return False
    with page.open(encoding="utf-8", errors="replace") as stream:
        return _OURS.search(stream.read(_HEAD)) is not None


def keep(page: Page, facts: RunFacts, out: Path) -> tuple[Path, bool]:
    """Write the page into ``out`` and log it into its run; returns the folder, and whether it took a page's place.

    Only what was made here is logged: the folder may hold other files of the user. A page at a threshold that was given
    with the command is one look of many and not the run's report: it stays out of the run.
    """
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_page(page, folder)
        card = json.dumps(model_card(facts, page), indent=2, ensure_ascii=False, allow_nan=False)
        (folder / "model_card.json").write_text(card + "\n", encoding="utf-8")
        try:
            replaced = cleared(out)
            shutil.copytree(folder, out, dirs_exist_ok=True)
        except OSError as error:
            raise ReportError(f"cannot write into {out}: {error}; give another folder with --out") from error
        _leave_template(out / ABOUT, facts)
        if place := place_in_run(page, facts):
            from medcnn.tracking.notes import report_note  # MLflow takes seconds, and a table has no use for it
            from medcnn.tracking.runs import log_report

            log_report(facts.run_id, folder, headline_of(page), report_note(page, facts.run_id), name=place)
    return out, replaced


def place_in_run(page: Page, facts: RunFacts) -> str:
    """The folder of the run that the page is kept in: its own for validation cases; "" where it is kept in none."""
    if not facts.run_id or facts.decision.get("given"):
        return ""
    return "report" if page.split == "test" else f"report_{page.split}"


def _leave_template(path: Path, facts: RunFacts) -> None:
    """Put the questions that only people can answer beside the page; a file that is there is somebody's work."""
    if not path.exists():
        path.write_text(about_template(facts.about), encoding="utf-8")


def headline_of(page: Page) -> Mapping[str, Estimate]:
    """The first figures of a page."""
    found: dict[str, Estimate] = {}
    for block in page.blocks():
        if isinstance(block, Headline):
            found |= block.figures
    return found


def _beside(first: Judged, second: Judged) -> list[Section]:
    if first.outcome is not None and second.outcome is not None:
        return comparison_sections(first.outcome, second.outcome, first.facts, second.facts)
    if first.scores is not None and second.scores is not None:
        return [compared_cases_section(first.scores, second.scores)]
    raise ReportError("one run classifies and the other segments: give two runs that answer the same question")


def _page_without_guidelines(judged: Judged, prevalence: float | None) -> Page:
    if judged.outcome is not None:
        return classification_page(judged.outcome, judged.val, judged.facts, prevalence)
    assert judged.scores is not None
    return segmentation_page(judged.scores, judged.facts, judged.split)
