"""``medcnn demo``: the whole way on films that it draws itself."""

import csv
import shlex
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from medcnn.cli.configs import configs_folder
from medcnn.errors import ConfigError, MedcnnError

MARK = ".medcnn_demo"
OWN = ("cohort", "incoming", "findings")
MODEL = "medcnn-demo"


@dataclass
class Demo:
    """Go the whole way on a phantom cohort: draw films, fit, test, score, and say where everything is.

    The films are drawings, not patients: two bright lungs, and in some a shadow. What is learned from them says nothing
    about real films. Some of the incoming files are broken on purpose.

    Attributes:
        folder: Folder for the cohort, the incoming films and the findings. One that the demo did not make is refused,
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
        self._score()
        print(closing_words(self.folder, time.monotonic() - start))
        return 0

    def _draw(self) -> None:
        from medcnn.data.phantom import make_phantom_cohort

        patients = 16 if self.quick else 150
        print(f"drawing films of {patients} patients into {self.folder / 'cohort'}", flush=True)
        make_phantom_cohort(self.folder / "cohort", patients=patients, seed=self.seed)
        make_phantom_cohort(self.folder / "incoming", patients=patients // 4, seed=self.seed + 1, broken=5)

    def _cohort(self) -> list[str]:
        config = configs_folder() / "experiment" / "demo.yaml"
        return ["--config", str(config), "--data.init_args.source", str(self.folder / "cohort")]

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
        if (folder / name).exists():
            shutil.rmtree(folder / name)


def closing_words(folder: Path, seconds: float) -> str:
    """Where everything is, what was planted, and what to do next."""
    findings = folder / "findings"
    with (findings / "findings.csv").open(newline="", encoding="utf-8") as table:
        calls = Counter(row["call"] for row in csv.DictReader(table))
    with (findings / "skipped.csv").open(newline="", encoding="utf-8") as table:
        missed = [f"  {row['path']:<28} {row['sentence']}" for row in csv.DictReader(table)]
    called = ", ".join(f"{count} {call}" for call, count in sorted(calls.items()))
    lines = [
        f"\nThe demo is done in {seconds:.0f} s: {calls.total()} films scored ({called}).",
        f"{len(missed)} files were broken on purpose, so score ended with exit code 3, as it does when a file is left:",
        *missed,
        "",
        f"  {findings / 'findings.csv'}   one row a scored film",
        f"  {findings / 'skipped.csv'}    every other file, and why",
        "",
        "Next:  medcnn ui            opens the run: curves, confusion matrix, where the net looked",
        "       medcnn fit --help    then your own films, see README.md",
    ]
    return "\n".join(lines)
