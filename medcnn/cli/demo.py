"""``medcnn demo``: the whole way on films that it draws itself."""

import csv
import shlex
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from medcnn.cli.configs import configs_folder
from medcnn.errors import ConfigError, MedcnnError

MARK = ".medcnn_demo"
OWN = ("films", "incoming", "findings", "report", "manifest.csv", "incoming_truth.csv")
MODEL = "medcnn-demo"


@dataclass
class Demo:
    """Go the whole way on a phantom cohort: draw films, fit, test, report, score, and say where everything is.

    The films are drawings, not patients: two bright lungs, and in some a shadow. What is learned from them says nothing
    about real films. Some of the incoming files are broken on purpose.

    Attributes:
        folder: Folder for cohort, report, incoming films and findings. One that the demo did not make is refused,
            one that it made is made anew.
        seed: The same seed draws the same films and trains the same model.
        quick: A handful of patients and one epoch: shows that every part works, not that anything is learned.
    """

    folder: Path = Path("demo")
    seed: int = 7
    quick: bool = False

    def __call__(self) -> int:
        """Run every step and print what there is to see.

        Returns:
            0 where each step went as planned.

        Raises:
            ConfigError: If the folder holds something that is not the demo's.
            MedcnnError: If a step ended otherwise than planned.
        """
        start = time.monotonic()
        claim(self.folder)
        self._draw()
        self._fit()
        self._step(["test", *self._cohort(), "--ckpt_path", f"models:/{MODEL}@champion"])
        self._step(["report", f"models:/{MODEL}@champion", "--out", str(self.folder / "report")])
        self._score()
        print(closing_words(self.folder, time.monotonic() - start))
        return 0

    def _draw(self) -> None:
        from medcnn.data.phantom import make_phantom_cohort

        patients = 24 if self.quick else 150
        print(f"drawing films of {patients} patients into {self.folder}", flush=True)
        make_phantom_cohort(self.folder, patients=patients, seed=self.seed)

    def _cohort(self) -> list[str]:
        config = configs_folder() / "experiment" / "demo.yaml"
        return ["--config", str(config), "--data.init_args.source", str(self.folder / "manifest.csv")]

    def _fit(self) -> None:
        words = ["fit", *self._cohort(), "--seed_everything", str(self.seed), "--register", MODEL]
        self._step(words + (["--trainer.max_epochs", "1"] if self.quick else []))

    def _score(self) -> None:
        words = [f"models:/{MODEL}@champion", str(self.folder / "incoming"), str(self.folder / "findings")]
        self._step(["score", *words], expected=3)

    def _step(self, words: list[str], expected: int = 0) -> None:
        from medcnn.cli.main import main

        print(f"\n$ medcnn {shlex.join(words)}", flush=True)
        code = main(words)
        if code != expected:
            raise MedcnnError(
                f"medcnn {words[0]} ended with {code}, expected {expected}: its own words above say why; "
                "medcnn doctor says what this installation lacks"
            )


def claim(folder: Path) -> None:
    """Make the folder, or empty it of what an earlier demo made; whatever else is in it stays.

    Raises:
        ConfigError: If it holds something and no demo made it.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file: give the demo a folder of its own with --folder")
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise ConfigError(f"{folder} holds files that the demo did not make: give it another with --folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    for name in OWN:
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)


def closing_words(folder: Path, seconds: float) -> str:
    """What came out against the truth, what was broken, where everything is, and what to do next.

    Raises:
        MedcnnError: If a film that is whole has no finding.
    """
    findings = folder / "findings"
    calls = {row["path"]: row["call"] for row in _rows(findings / "findings.csv")}
    truth = {row["path"].removeprefix("incoming/"): row["label"] for row in _rows(folder / "incoming_truth.csv")}
    if lost := sorted(truth.keys() - calls.keys()):
        raise MedcnnError(
            f"{len(lost)} whole films have no finding, {lost[0]} the first; {findings / 'skipped.csv'} says why"
        )
    right = sum(truth.get(path) == call for path, call in calls.items())
    missed = [f"  {row['path']:<16} {row['sentence']}" for row in _rows(findings / "skipped.csv")]
    lines = [
        f"\nDone in {seconds:.0f} s. Of {len(calls)} incoming films {right} were called as they were drawn.",
        f"{len(missed)} files were broken on purpose. score says so by exit code 3, and of each file why:",
        *missed,
        "",
        f"{folder / 'report' / 'report.html'}      how good the model is, and for whom: open it in a browser",
        f"{findings / 'findings.csv'}   one row a scored film",
        f"{findings / 'skipped.csv'}    every other file, and why",
        "medcnn ui                    opens the run: curves, confusion matrix, where the net looked",
        "",
        "The films are drawings: these figures say nothing about real ones. README.md says how to go on with yours.",
    ]
    return "\n".join(lines)


def _rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
