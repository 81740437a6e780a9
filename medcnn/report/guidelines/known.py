"""What a run itself answers of a reporting guideline, a short text for each thing that it knows."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from medcnn.report.facts import RunFacts
from medcnn.report.guidelines.pointers import points_to, section_that_holds
from medcnn.report.page.blocks import Headline, Page


def known_answers(facts: RunFacts, page: Page) -> dict[str, str]:
    """Key of a guideline's ``from`` to what the run says of it; keys of which it knows nothing are left out.

    Args:
        facts: The run.
        page: Its report, to whose sections the answers point.
    """
    found = {key: answer(facts, page) for key, answer in ANSWERS.items()}
    return {key: text for key, text in found.items() if text}


def _of(config: Mapping[str, Any], *path: str) -> Any:
    """A value deep in a configuration; None where a step is missing."""
    value: Any = config
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _name(class_path: Any) -> str:
    return str(class_path or "").rpartition(".")[2]


def _part(facts: RunFacts, part: str) -> str:
    return _name(_of(facts.config, "model", "init_args", part, "class_path"))


def _technology(facts: RunFacts, page: Page) -> str:
    net, task = _name(facts.model.get("net")), _name(facts.model.get("task"))
    kind = {"ClassificationTask": "classification", "SegmentationTask": "segmentation"}.get(task, task)
    return f"Deep learning: a convolutional network ({net}) for {kind}." if net else ""


def _architecture(facts: RunFacts, page: Page) -> str:
    count = facts.model.get("parameters")
    size = f", {count:,} parameters" if isinstance(count, int) and count else ""
    net = facts.model.get("net")
    return f"{net}{size}; every argument is in config.yaml of the run." if net else ""


def _headline(facts: RunFacts, page: Page) -> str:
    shown = [block for block in page.blocks() if isinstance(block, Headline)]
    return "; ".join(f"{name} {estimate}" for block in shown for name, estimate in block.figures.items())


def _partition(facts: RunFacts, page: Page) -> str:
    counts = [f"{name}: {split.get('cases', 0):,} cases" for name, split in _splits(facts).items()]
    by = "By patient" if _patients_told(facts) else "By case, for nothing told the patients apart"
    return f"{by}, stratified by class, seeded ({'; '.join(counts)})." if counts else ""


def _disjoint(facts: RunFacts, page: Page) -> str:
    proof = facts.data.get("proof", {})
    if not proof:
        return ""
    if not _patients_told(facts):
        return (
            f"Pixel content: {proof.get('contents_shared', 0)} contents are shared by splits, "
            f"{proof.get('checked', 0):,} cases checked. Nothing told the patients apart: whether splits share one is "
            "not known."
        )
    return (
        f"Patient and pixel content: {proof.get('patients_shared', 0)} patients and {proof.get('contents_shared', 0)} "
        f"contents are shared by splits, {proof.get('checked', 0):,} cases checked."
    )


def _patients_told(facts: RunFacts) -> bool:
    """Whether anything told the patients of the data apart."""
    return bool(facts.data.get("patients_told", True))


def _splits(facts: RunFacts) -> dict[str, Mapping[str, Any]]:
    return {name: split for name, split in facts.data.get("splits", {}).items() if isinstance(split, Mapping)}


def _split_counts(facts: RunFacts, page: Page) -> str:
    told = []
    for name, split in _splits(facts).items():
        classes = ", ".join(f"{value:,} {label}" for label, value in split.get("classes", {}).items())
        patients = f"{split.get('patients', 0):,} patients, " if _patients_told(facts) else ""
        told.append(f"{name}: {patients}{split.get('cases', 0):,} cases ({classes})")
    return "; ".join(told)


def _exclusions(facts: RunFacts, page: Page) -> str:
    if not facts.data:
        return ""
    out = {
        **facts.data.get("excluded", {}),
        **{f"taken out of {k}": n for k, n in facts.data.get("dropped", {}).items()},
    }
    return "Excluded by the program: " + (", ".join(f"{count:,} {why}" for why, count in out.items()) or "none") + "."


def _data_identity(facts: RunFacts, page: Page) -> str:
    digest = str(facts.data.get("digest", ""))
    return f"The table of cases has the digest {digest[:16]}." if digest else ""


def _preprocessing(facts: RunFacts, page: Page) -> str:
    steps = [_name(step.get("class_path")) for step in facts.model.get("preprocess") or [] if isinstance(step, Mapping)]
    return f"{', then '.join(steps)}; the same steps in training and in use." if steps else ""


def _software(facts: RunFacts, page: Page) -> str:
    versions = {key.partition(".")[2]: text for key, text in facts.tags.items() if key.startswith("package.")}
    own = facts.tags.get("medcnn.version")
    listed = ([f"medcnn {own}"] if own else []) + [f"{name} {text}" for name, text in sorted(versions.items())]
    return ", ".join(listed)


def _seed(facts: RunFacts, page: Page) -> str:
    seed = facts.config.get("seed_everything", facts.tags.get("seed"))
    return f"Seed {seed}." if seed is not None else ""


def _training(facts: RunFacts, page: Page) -> str:
    loss, optimizer, schedule = (_part(facts, name) for name in ("loss", "optimizer", "scheduler"))
    rate = _of(facts.config, "model", "init_args", "optimizer", "init_args", "lr")
    epochs, batch = _of(facts.config, "trainer", "max_epochs"), _of(facts.config, "data", "init_args", "batch_size")
    augment = _name(_of(facts.config, "data", "init_args", "augment", "class_path"))
    parts = [
        f"{optimizer}{f' at {rate:g}' if isinstance(rate, float) else ''}" if optimizer else "",
        schedule, loss, f"up to {epochs} epochs" if epochs else "", f"batches of {batch}" if batch else "",
        f"augmentation by {augment}" if augment else "",
    ]  # fmt: skip
    return ", ".join(filter(None, parts))


def _selection(facts: RunFacts, page: Page) -> str:
    monitor = _of(facts.config, "checkpoint", "monitor")
    return f"The epoch with the best {monitor} on the validation cases." if monitor else ""


def _ensembling(facts: RunFacts, page: Page) -> str:
    return "One network; weights are averaged over training steps." if facts.config.get("average") else ""


def _imbalance(facts: RunFacts, page: Page) -> str:
    weight = _of(facts.config, "model", "init_args", "loss", "init_args", "weight")
    return f"{_part(facts, 'loss')} with weights: {weight}." if weight else ""


def _recalibration(facts: RunFacts, page: Page) -> str:
    temperature = facts.decision.get("temperature")
    if not isinstance(temperature, float):
        return ""
    return f"Logits are divided by {temperature:.3f}, fitted on {facts.decision.get('chosen_on', 'val')} cases."


def _output(facts: RunFacts, page: Page) -> str:
    thresholds = {name: value for name, value in facts.decision.get("thresholds", {}).items() if value is not None}
    if not thresholds:
        return "A label for every voxel." if _name(facts.model.get("task")) == "SegmentationTask" else ""
    told = ", ".join(f"{name} at {value:.3f}" for name, value in thresholds.items())
    if facts.decision.get("given"):
        return f"Probabilities; called: {told}, as it was given for this report alone."
    wanted, chosen_on = facts.decision.get("target_sensitivity"), facts.decision.get("chosen_on", "val")
    return f"Calibrated probabilities; called: {told}, chosen on {chosen_on} cases for a sensitivity of {wanted}."


def _internal_test(facts: RunFacts, page: Page) -> str:
    test = _splits(facts).get("test", {})
    if not facts.data:
        return ""
    if not test.get("cases"):
        return "No: there are no test cases; the validation cases that chose the model are judged."
    if page.split != "test":
        waiting = f"{test['cases']:,} test cases are kept apart and are not judged on this page"
        return f"No: the validation cases that chose the model are judged; {waiting}."
    patients = f" of {test.get('patients', 0):,} patients" if _patients_told(facts) else ""
    return f"Yes: {test['cases']:,} cases{patients} that took no part in training."


def _model_identity(facts: RunFacts, page: Page) -> str:
    digest = str(facts.model.get("digest", ""))
    return (
        f"The model with the digest {digest[:16]}: weights and all steps in one file; `medcnn score` runs it."
        if digest
        else ""
    )


def _code(facts: RunFacts, page: Page) -> str:
    commit = facts.tags.get("git.commit")
    return f"Commit {commit[:12]}{', with changes' if facts.tags.get('git.dirty') == 'true' else ''}." if commit else ""


def _flow(facts: RunFacts, page: Page) -> str:
    if not facts.data:
        return ""
    return " ".join(filter(None, [_exclusions(facts, page), section_that_holds(page, "data-flow")]))


def _always(text: str, of: str) -> Callable[[RunFacts, Page], str]:
    """What holds of every run whose facts have the part ``of``."""
    return lambda facts, page: text if getattr(facts, of) else ""


def _uncertainty(facts: RunFacts, page: Page) -> str:
    shown = [figure for block in page.blocks() if isinstance(block, Headline) for figure in block.figures.values()]
    levels = [figure.level for figure in shown if not math.isnan(figure.low)]
    if not levels:
        return ""
    alike = "all cases of a patient are taken together" if page.patients is not None else (
        "which cases belong to one patient was not told, so each is taken by itself"
    )  # fmt: skip
    return f"{levels[0] * 100:g} % intervals; {alike}."


def _limits(facts: RunFacts, page: Page) -> str:
    found = [section for section in page.sections if section.name == "limits" and section.blocks]
    return f'See the section "{found[0].title}".' if found else ""


ANSWERS: dict[str, Callable[[RunFacts, Page], str]] = {
    "technology": _technology, "architecture": _architecture, "headline": _headline, "partition": _partition,
    "disjoint": _disjoint, "split_counts": _split_counts, "exclusions": _exclusions, "flow": _flow,
    "data_identity": _data_identity, "preprocessing": _preprocessing, "software": _software, "seed": _seed,
    "training": _training, "selection": _selection, "ensembling": _ensembling, "imbalance": _imbalance,
    "recalibration": _recalibration, "output": _output, "internal_test": _internal_test,
    "model_identity": _model_identity, "code": _code,
    "initialization": _always("Random, by the layers' own rules.", "config"),
    "pseudonyms": _always("Patient identifiers become keyed pseudonyms as files are read.", "run_id"),
    "missing_labels": _always("Cases without a label take no part in loss or figures.", "run_id"),
    "image_alone": _always("The image alone.", "model"),
    "config_file": _always("config.yaml of the run holds every setting.", "config"),
    "bad_files": _always("Scoring gives a reason for each file that cannot be read.", "run_id"),
    "uncertainty": _uncertainty,
    "figures": points_to(("discrimination", "discrimination"), ("overlap", "overlap")),
    "robustness": points_to(("examination", "robustness")),
    "explanation": points_to(("examination", "randomization", "embedding"), ("failures", "most_confident")),
    "operating_point": points_to(("operating-point", "operating_point")),
    "subgroups": points_to(("subgroups", "subgroups")),
    "failures": points_to(("failures",)),
    "known_limits": _limits,
}  # fmt: skip
