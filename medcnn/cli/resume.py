"""A resumed fit: what its checkpoint keeps, what its command changes, and what no command can change."""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from medcnn.errors import CheckpointError, ConfigError
from medcnn.printable import printable
from medcnn.tasks.archive import read_checkpoint
from medcnn.tasks.optimization import state_names
from medcnn.tracking.logger import flatten
from medcnn.tracking.scrub import LOCAL, scrub

#: Settings that say where something is or what it is called, not how it is trained.
_PLACES = ("tracking.", "register", "alias", "out", "ckpt_path", "config", "trainer.default_root_dir", "verbose")
#: What begins with this belongs to the weights or to the optimizer's state: beginning of a name, and what it is.
_FIXED = (
    ("model.class_path", "the task"),
    ("model.init_args.net", "the net"),
    ("model.init_args.multilabel", "the task"),
    ("model.init_args.optimizer.class_path", "the class of the optimizer"),
    ("model.init_args.decay_all", "the groups of the optimizer"),
)
#: What a change means, by the beginning of a name; the first that fits.
_EFFECTS = (
    ("trainer.max_epochs", "the schedule is planned for the new length"),
    ("trainer.max_steps", "the schedule is planned for the new length"),
    ("model.init_args.scheduler", "planned again, continues at the step reached"),
    ("model.init_args.optimizer", "from the next step"),
    ("model.init_args.loss", "from the next step; class weights are counted again"),
    ("early_stopping.monitor", "patience is counted from the start"),
    ("early_stopping.mode", "patience is counted from the start"),
    ("checkpoint.monitor", "the best is chosen among the epochs to come"),
    ("checkpoint.mode", "the best is chosen among the epochs to come"),
    ("seed_everything", "order, augmentation and dropout of the epochs to come"),
    ("data.init_args.seed", "another split, and another order"),
    ("data.init_args.fractions", "another split"),
)
_WAY_OUT = "use the checkpoint's, or leave out --ckpt_path and start again"
_ROWS = 30


class Change(NamedTuple):
    """A setting that differs between a checkpoint and a command; None where one of them has no such setting."""

    name: str
    before: Any
    now: Any


def settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a training by their dotted names, from its composed configuration: plain, and without a place."""
    flat = flatten(scrub(config))
    return {name: value for name, value in flat.items() if not name.startswith(_PLACES) and value != LOCAL}


class Resumed:
    """A checkpoint that a fit continues from.

    Args:
        path: Of the file.

    Raises:
        CheckpointError: It does not read.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.checkpoint = path, read_checkpoint(path)
        if "optimizer_states" not in self.checkpoint:
            raise ConfigError(f"{path.name} holds no state of an optimizer: give the last.ckpt of a fit to go on from")
        _check_state(self.checkpoint, path.name)
        origin = self.checkpoint["medcnn"]
        self.run_id = str(origin.get("run_id") or "")
        self.settings: dict[str, Any] = dict(origin.get("settings") or {})

    @property
    def precision(self) -> str | None:
        """The number type it was trained in; None where it does not say."""
        return self.settings.get("trainer.precision")

    def changes(self, now: Mapping[str, Any]) -> list[Change]:
        """What a command's settings change; nothing is known of a checkpoint without settings."""
        if not self.settings:
            return []
        names = dict.fromkeys((*self.settings, *now))
        found = (Change(name, self.settings.get(name), now.get(name)) for name in names)
        return [change for change in found if change.before != change.now]

    def check(self, now: Mapping[str, Any]) -> None:
        """Refuse a command that changes what no command can change, or that leaves no epoch for its changes.

        Raises:
            ConfigError: It does; says what the checkpoint has.
        """
        for change in self.changes(now):
            what = next((what for start, what in _FIXED if change.name.startswith(start)), None)
            if what is None or "dropout" in change.name.rsplit(".", 1)[-1]:
                continue
            raise ConfigError(
                f"{change.name} is {_shown(change.now)}, and {_shown(change.before)} in {self.path.name}: {what} "
                f"cannot be changed when training is resumed; {_WAY_OUT}"
            )
        behind, length = _progress(self.checkpoint)["processed"], now.get("trainer.max_epochs")
        if self.changes(now) and isinstance(length, int) and 0 < length <= behind:
            raise ConfigError(
                f"trainer.max_epochs is {length}, and {self.path.name} has trained for {behind} already: nothing is "
                "left to train with what the command changes; give more with --trainer.max_epochs"
            )

    def check_parts(self, model: Any) -> None:
        """Refuse a model whose parts do not take over what the checkpoint holds.

        Args:
            model: The task as built from the command.

        Raises:
            ConfigError: Other classes, or an optimizer that remembers other things of each parameter.
        """
        classes = tuple(self.checkpoint["hyper_parameters"].get("classes", model.classes))
        if classes != tuple(model.classes):
            raise ConfigError(
                f"{self.path.name} was trained on the classes {', '.join(map(str, classes))}, the cohort has "
                f"{', '.join(model.classes)}: {_WAY_OUT}"
            )
        states = [state for held in self.checkpoint["optimizer_states"] for state in held["state"].values()]
        if not states:
            return
        held = {name for name, value in states[0].items() if value is not None}
        if missing := state_names(model.optimizer) - held - {"momentum_buffer"}:
            raise ConfigError(
                f"the optimizer as configured remembers {', '.join(sorted(missing))} of each parameter, which "
                f"{self.path.name} does not hold; {_WAY_OUT}"
            )

    def table(self, now: Mapping[str, Any]) -> str:
        """What is kept, changed and fixed: lines to be printed before the first resumed epoch."""
        rows = [("keeps", line) for line in self._kept()]
        changes = self.changes(now)
        rows += [("changes", _line(change)) for change in changes[:_ROWS]] or [("changes", self._nothing())]
        if len(changes) > _ROWS:
            rows.append(("", f"and {len(changes) - _ROWS} more: the run's tags drift.* list them all"))
        rows.append(("fixed", "net, classes, class and parameter groups of the optimizer"))
        lines = [f"resumes    {self.path}"]
        before = ""
        for head, line in rows:
            lines += [f"  {'' if head == before else head:<9}{line}"]
            before = head
        return "\n".join(lines)

    def _nothing(self) -> str:
        return "nothing" if self.settings else "not known: the checkpoint does not say how it was trained"

    def _kept(self) -> list[str]:
        loop = _progress(self.checkpoint)
        lines = [f"weights and their average after epoch {loop['processed']}, step {self.checkpoint['global_step']}"]
        plan = self.checkpoint["medcnn"].get("optimization") or {}
        if plan:
            schedule = f", {plan['schedule']}" if plan.get("schedule") else ""
            lines.append(f"state of {plan['optimizer']}{schedule}")
        for key, state in self.checkpoint.get("callbacks", {}).items():
            if "EarlyStopping" in str(key):
                lines.append(f"validations without improvement: {state.get('wait_count', 'unknown')}")
            elif "BestCheckpoint" in str(key) and state.get("monitor") and state.get("best_model_score"):
                lines.append(f"best {state['monitor']} so far: {float(state['best_model_score'][0]):.4f}")
        return lines


def _check_state(checkpoint: Mapping[str, Any], name: str) -> None:
    """Refuse a state of training whose parts are not what Lightning and this module restore from.

    Raises:
        CheckpointError: A part is missing or of another kind.
    """
    damaged = []
    for key, kind in (("optimizer_states", list), ("lr_schedulers", list), ("callbacks", dict), ("loops", dict)):
        if not isinstance(checkpoint.get(key), kind):
            damaged.append(key)
    try:
        counts = [checkpoint["global_step"], *_progress(checkpoint).values()]
        if not all(type(count) is int and count >= 0 for count in counts):
            damaged.append("loops")
        states = [(state["state"].values(), state["param_groups"]) for state in checkpoint["optimizer_states"]]
        if not all(isinstance(groups, list) for _, groups in states):
            damaged.append("optimizer_states")
        origin = checkpoint["medcnn"]
        if not all(isinstance(origin.get(key) or {}, Mapping) for key in ("settings", "optimization")):
            damaged.append("medcnn")
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        damaged.append(str(error))
    if damaged:
        raise CheckpointError(
            f"{name}: the training in the checkpoint cannot be resumed ({printable(', '.join(damaged), 100)}); take "
            "another checkpoint, or fit from the start"
        )


def _progress(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Counts of the epochs behind a checkpoint."""
    return checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]


def _line(change: Change) -> str:
    effect = next((effect for start, effect in _EFFECTS if change.name.startswith(start)), "from the next step")
    return f"{change.name}  {_shown(change.before)} -> {_shown(change.now)}  ({effect})"


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return textwrap.shorten(printable(text, 60), 60, placeholder=" ...")
