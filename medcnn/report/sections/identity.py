"""Which model, which code, which data, and what it is for: the sections that say what was judged."""

import math
import textwrap
from collections.abc import Mapping
from typing import Any

import pandas as pd

from medcnn.report.facts import RunFacts
from medcnn.report.page.blocks import Block, Facts, Section, Table, Text

#: Characters of a digest that tell two apart; and of a title that is a line.
SHORT, LONGEST_TITLE = 16, 120
#: Keys of what a person wrote, and how the page names them.
PURPOSE = {
    "intended_use": "Intended use",
    "users": "Users",
    "population": "Patients",
    "not_for": "Not to be used for",
    "setting": "Setting",
    "data_sources": "Where images and labels come from",
    "reference_standard": "How the truth was established",
    "limitations": "Known limitations, in the words of its makers",
    "contact": "Contact",
}


def identity_section(facts: RunFacts) -> Section:
    """Run, model, code, data, seeds and packages."""
    told = _identity(facts)
    if not facts.run_id and not any(value for name, value in told.items() if name != "Run"):
        none = "A table of predictions: which model made them, with which code and from which data, is not known."
        return Section("identity", "Identity", [Text(none)])
    blocks: list[Block] = [Facts(told)]
    packages = {key.removeprefix("package."): v for key, v in sorted(facts.tags.items()) if key.startswith("package.")}
    if packages:
        table = pd.DataFrame({"package": list(packages), "version": list(packages.values())})
        blocks.append(Table("packages", table, "Libraries of the training.", folded=True))
    whole = {"model": _digest(facts.model.get("digest")), "data": _data_digest(facts)}
    if any(len(digest) > SHORT for digest in whole.values()):
        table = pd.DataFrame({"digest of": list(whole), "SHA-256": list(whole.values())})
        blocks.append(Table("digests", table, "Digests in full.", folded=True))
    return Section("identity", "Identity", blocks)


def purpose_section(facts: RunFacts) -> Section:
    """What a person wrote about the model; what nobody wrote reads "not provided"."""
    told = {title: str(facts.about.get(key) or "") for key, title in PURPOSE.items()}
    if not any(told.values()):
        none = ("What the model is for, for whom, and how the truth was established: not provided. --about takes a "
                "file that says so; an empty one lies beside this page.")  # fmt: skip
        return Section("intended-use", "Intended use", [Text(none)])
    return Section("intended-use", "Intended use", [Facts(told)])


def preprocessing_section(facts: RunFacts) -> Section:
    """The fixed steps as they ran, the images they could not prepare, and those they found odd."""
    steps = facts.model.get("preprocess") or []
    blocks: list[Block] = []
    if steps:
        rows = [
            {"step": place, "transform": _name(step.get("class_path")), "arguments": _arguments(step.get("init_args"))}
            for place, step in enumerate(map(_plain, steps), 1)
        ]
        order = ", then ".join(str(row["transform"]) for row in rows)
        blocks.append(Text(f"{order}: in this order, in training and in scoring alike."))
        blocks.append(Table("preprocessing", pd.DataFrame(rows), "The steps with their arguments.", folded=True))
    else:
        blocks.append(Text("The steps of preprocessing are not provided."))
    blocks += _tally(facts.data.get("excluded"), "unreadable", "Images that could not be read or prepared, by reason.",
                     "No image failed: every file that was found could be read.")  # fmt: skip
    blocks += _tally(facts.data.get("flags"), "flags", "Images that were read but looked odd, by flag.",
                     "No image was flagged as odd.")  # fmt: skip
    if not facts.data:
        blocks = [*blocks[:1], Text("Failures and flags are not provided: there is no record of the data.")]
    return Section("preprocessing", "Preprocessing as run", blocks)


def made_of(facts: RunFacts) -> dict[str, str]:
    """The foot of the page."""
    parts = {
        "medcnn": str(facts.tags.get("medcnn.version") or ""),
        "model": _digest(facts.model.get("digest"))[:SHORT],
        "data": _digest(facts.data.get("digest"))[:SHORT],
        "trained": facts.started,
    }
    return {name: text for name, text in parts.items() if text}


def title_of(facts: RunFacts, otherwise: str) -> str:
    """What its people call the model, as one line; what it answers where they gave it no name."""
    given = " ".join(str(facts.about.get("title") or "").split())
    return textwrap.shorten(given, LONGEST_TITLE, placeholder=" …") if given else otherwise


def run_below(facts: RunFacts) -> str:
    """The name of the run for the line below the title, where a person's title stands in its place."""
    return f"{facts.name}: " if facts.about.get("title") and facts.name else ""


def _digest(given: Any) -> str:
    return str(given or "")


def _data_digest(facts: RunFacts) -> str:
    return _digest(facts.data.get("digest") or facts.tags.get("data.digest"))


def short(value: Any, digits: int = 4) -> str:
    """A value as text; a number with so many digits, nothing for nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def _identity(facts: RunFacts) -> dict[str, str]:
    model, tags = facts.model, facts.tags
    commit = str(tags.get("git.commit") or "")
    changed = {"true": ", with changes that no commit holds", "false": ""}.get(str(tags.get("git.dirty")), "")
    parameters = model.get("parameters")
    return {
        "Run": " ".join(part for part in (facts.name, f"({facts.run_id})" if facts.run_id else "") if part),
        "Experiment": facts.experiment,
        "Started": facts.started,
        "Status": facts.status,
        "Model digest": _digest(model.get("digest"))[:SHORT],
        "Net": _name(model.get("net")),
        "Task": _name(model.get("task")),
        "Parameters": f"{int(parameters):,}" if parameters else "",
        "Answers": ", ".join(map(str, model.get("classes") or ())),
        "Code": f"medcnn {tags['medcnn.version']}" if "medcnn.version" in tags else "",
        "Commit": f"{commit}{changed}" if commit else "",
        "Data digest": _data_digest(facts)[:SHORT],
        "Seed": _seeds(facts),
        "Machine": ", ".join(str(tags[key]) for key in ("device", "system") if tags.get(key)),
    }


def _seeds(facts: RunFacts) -> str:
    data = facts.config.get("data")
    arguments = data.get("init_args") if isinstance(data, Mapping) else None
    split = arguments.get("seed") if isinstance(arguments, Mapping) else None
    given = {"training": facts.config.get("seed_everything", facts.tags.get("seed")), "split": split}
    return ", ".join(f"{name} {value}" for name, value in given.items() if value is not None)


def _name(class_path: Any) -> str:
    """The class of a path or of a specification."""
    path = class_path.get("class_path") if isinstance(class_path, Mapping) else class_path
    return str(path or "").rpartition(".")[2]


def _plain(step: Any) -> Mapping[str, Any]:
    return step if isinstance(step, Mapping) else {"class_path": str(step)}


def _arguments(given: Any) -> str:
    if not isinstance(given, Mapping):
        return ""
    return ", ".join(f"{name}={value}" for name, value in given.items() if name != "keys" and value is not None)


def _tally(counts: Any, name: str, caption: str, none: str) -> list[Block]:
    if not isinstance(counts, Mapping) or not counts:
        return [Text(none)]
    table = pd.DataFrame({"what": [str(key) for key in counts], "images": list(counts.values())})
    return [Table(name, table.sort_values("images", ascending=False, ignore_index=True), caption)]
