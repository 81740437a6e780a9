"""``medcnn report``: the page by which a model is judged, one HTML file."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from medcnn.cli.positive import positive_line
from medcnn.errors import ConfigError, ReportError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from medcnn.cli.judged import Judged, Numbers
    from medcnn.report.page.blocks import Page

TABLES = (".csv", ".tsv", ".parquet", ".pq")


@dataclass
class Report:
    """Make the page by which a model is judged: one HTML file that needs no network, its tables and its pictures.

    The page of a run is also logged into that run, under report/ (under report_val/ with --split val; not at all with
    --threshold, for that is a look beside what the run decided). A table of predictions may come from any program:
    CSV or Parquet, one row a case, with the columns label and probability; of more than two classes, or of several
    findings, probability/CLASS for each, and of several findings label/CLASS (0, 1 or empty). What may stand beside
    them: case, patient (several rows of one patient are counted as such), call (a class, or 0 and 1: it is judged as it
    is called), logit or logit/CLASS (also in place of the probabilities), and any columns that describe groups, such as
    sex or scanner. What could name a person is left out.

    Attributes:
        run: runs:/ID, an ID or its beginning, "last", models:/name@alias; or a table of predictions.
        compare: Another run, or table, on the same cases: put beside the first, with the paired test.
        prevalence: Share of patients with the finding where the model is to be used: PPV and NPV are restated for it.
        threshold: Call a case from this probability on, whatever the run stored or the table calls; of several findings
            each.
        about: YAML file with what only people know of the model (intended use, population, ...); an empty one to fill
            in is left beside each page.
        out: Folder for the page; report_ and the beginning of the run's ID by default.
        split: Which cases it is judged on.
        classes: Of a table with two classes whose labels are names: those names, the finding second.
    """

    run: str
    compare: str | None = None
    prevalence: float | None = None
    threshold: float | None = None
    about: Path | None = None
    out: Path | None = None
    split: Literal["test", "val"] = "test"
    classes: list[str | int] | None = None

    def __call__(self) -> int:
        """Make the page, log it, and say where it is and what it says first.

        Raises:
            MedcnnError: No such run or table, no predictions in it, or files that do not read.
        """
        self._check()
        # What these import takes a second, and --help has no use for it.
        from medcnn.cli.judged import Numbers
        from medcnn.cli.reporting import check_place, keep, page_of, said_about

        numbers = Numbers()
        first = self._judged(self.run, said_about(self.about), numbers)
        second = None if self.compare is None else self._judged(self.compare, {}, numbers)
        for note in dict.fromkeys([*first.notes, *(second.notes if second else ())]):
            print(f"note     {note}")
        check_place(self._out(first))
        page = page_of(first, second, self.prevalence)
        out, replaced = keep(page, first.facts, self._out(first))
        self._say(page, out, first)
        if replaced:
            print("         replaced the page that stood there")
        return 0

    def _check(self) -> None:
        """Refuse what needs no look into a run or a table."""
        for name, value in (("prevalence", self.prevalence), ("threshold", self.threshold)):
            if value is not None and not 0 < value < 1:
                raise ConfigError(f"{name} is {value:g}; give a share above 0 and below 1, as 0.1")
        for name in (self.run, *(() if self.compare is None else (self.compare,))):
            if not name.strip():
                raise ConfigError("no run is named: give a run, as last or the beginning of an ID, or a table")
            if Path(name).is_dir():
                raise ConfigError(f"{Path(name).resolve().name} is a folder: give a run or a table")
            if _is_table(name) and not Path(name).is_file():
                raise ReportError(f"there is no table {Path(name).name} at the place given: check the path")
        if self.out is not None and self.out.exists() and not self.out.is_dir():
            raise ConfigError(f"out is {self.out.name}, which is a file: give a folder with --out")

    def _judged(self, name: str, about: "Mapping[str, str]", numbers: "Numbers") -> "Judged":
        from dataclasses import replace

        from medcnn.cli.judged import judged_at, judged_run, judged_table

        if _is_table(name):
            judged = judged_table(Path(name), self.split, numbers, [str(one) for one in self.classes or ()])
        else:
            judged = judged_run(name, self.split)
        if self.threshold is not None:
            judged = judged_at(judged, self.threshold)
        return replace(judged, facts=replace(judged.facts, about=about))

    def _out(self, judged: "Judged") -> Path:
        """Where the page goes; one of other cases, or at another threshold, never onto the report of the run."""
        looks = ["val"] if self.split == "val" else []
        looks += [f"at_{self.threshold:g}"] if self.threshold is not None else []
        out = self.out or Path("_".join(["report", judged.facts.run_id[:8] or "table", *looks]))
        if out.exists() and not out.is_dir():
            raise ConfigError(f"out is {out.name}, which is a file: give a folder with --out")
        return out

    def _say(self, page: "Page", out: Path, judged: "Judged") -> None:
        from medcnn.cli.reporting import headline_of, place_in_run

        if judged.outcome is not None and judged.outcome.binary:
            print(positive_line(judged.outcome))
        for warning in page.warnings:
            print(f"warning  {warning}")
        for name, estimate in headline_of(page).items():
            print(f"{name:<24} {estimate}")
        print(f"page     {out / 'report.html'}")
        if place := place_in_run(page, judged.facts):
            print(f"         also in the run, under {place}/; medcnn ui --run {judged.facts.run_id[:8]} opens it")
        elif judged.facts.run_id:
            print("         not in the run: it was judged at the threshold given, not at its own")


def _is_table(name: str) -> bool:
    """Whether a name is that of a file with predictions, not of a run."""
    return Path(name).suffix.lower() in TABLES
