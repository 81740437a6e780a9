"""The cases and patients that a model was trained on, over all sessions: added to, never replaced."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from medcnn.errors import LeakError

#: Settings of a data module that decide which case is trained on, and who is one patient.
_DECIDING = ("seed", "fractions", "folds", "fold", "train_share", "on_leak", "patient", "classes", "positive")


class Overlap(NamedTuple):
    """How many cases of a split were trained on, or show a patient who was.

    Attributes:
        cases: Cases of the split.
        trained: Those whose content was trained on.
        patients: Further cases, of patients whose other images were trained on.
    """

    cases: int
    trained: int
    patients: int

    def __bool__(self) -> bool:
        return self.trained + self.patients > 0

    def describe(self, split: str) -> str:
        """The counts in words."""
        trained = f"{self.trained} of the {self.cases} {split} cases were trained on"
        if not self.patients:
            return trained
        if not self.trained:
            return f"{self.patients} of the {self.cases} {split} cases show patients who were trained on"
        return f"{trained}, and the patients of {self.patients} others were"


class Seen(NamedTuple):
    """Names of cases by content, and of patients within a cohort.

    Attributes:
        cases: Names that are the same on every machine; pseudonyms where a data module names no contents.
        patients: Names of the patients, where they are known.
    """

    cases: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()

    @classmethod
    def in_training(cls, data: Any) -> "Seen":
        """Collect what a data module trains on; nothing where it names no cases."""
        cases, patients = _of_split(data, "train")
        return cls(tuple(sorted(set(cases))), tuple(sorted({*patients} - {""})))

    def joined(self, other: "Seen") -> "Seen":
        """Add another session."""
        cases, patients = ({*one, *new} for one, new in zip(self, other, strict=True))
        return Seen(tuple(sorted(cases)), tuple(sorted(patients)))

    def overlap(self, data: Any, split: str) -> Overlap:
        """Count the cases of a split that were trained on."""
        cases, patients = _of_split(data, split)
        known_cases, known_patients = set(self.cases), set(self.patients)
        trained = [name in known_cases for name in cases]
        shared = [name in known_patients and not known for name, known in zip(patients, trained, strict=True)]
        return Overlap(len(cases), sum(trained), sum(shared))


def refuse_seen(seen: Seen, data: Any, before: Mapping[str, Any]) -> None:
    """Refuse to resume on a split whose validation or test cases were trained on before.

    Args:
        seen: What the checkpoint was trained on.
        data: The data module of the resumed training.
        before: Settings of the data module that the checkpoint was trained with.

    Raises:
        LeakError: Naming the settings that differ.
    """
    found = {split: seen.overlap(data, split) for split in ("val", "test")}
    leaks = [one.describe({"val": "validation"}.get(split, split)) for split, one in found.items() if one]
    if not leaks:
        return
    now = getattr(data, "hparams", {})
    changed = [
        f"{name} {_shown(before[name])}, now {_shown(now[name])}"
        for name in _DECIDING
        if name in before and name in now and _shown(before[name]) != _shown(now[name])
    ]
    why = f"the split was made with {'; '.join(changed)}" if changed else "the cohort has other cases or patients now"
    raise LeakError(
        f"{' and '.join(leaks)} before this checkpoint was written ({why}): resume with the settings and cases of "
        "before, give each case its split in a column, or begin a new fit without --ckpt_path"
    )


def _of_split(data: Any, split: str) -> tuple[list[str], list[str]]:
    """Names of the cases of a split and of their patients, "" where a patient is not known."""
    cases = getattr(data, "cases", None)
    if cases is None or not {"case", "split"} <= set(cases):
        return [], []
    chosen = (cases["split"] == split).to_numpy()
    names: Sequence[str] = getattr(data, "seen_names", None) or cases["case"].tolist()
    patients: Sequence[str] = getattr(data, "seen_patients", None) or [""] * len(names)
    return (
        [name for name, one in zip(names, chosen, strict=True) if one],
        [name for name, one in zip(patients, chosen, strict=True) if one],
    )


def _shown(value: Any) -> str:
    return str(list(value) if isinstance(value, tuple | list) else value)
