"""What happens after Lightning is done: the decision, the product, and the few lines a user reads."""

import math
import shlex
import tempfile
from pathlib import Path

import pandas as pd
import torch
from pytorch_lightning.cli import LightningCLI
from torchmetrics.utilities.distributed import gather_all_tensors

from medcnn.cli.ending import Ending
from medcnn.cli.kept import tell_no_model
from medcnn.errors import ConfigError
from medcnn.spreadsheet import write_frame
from medcnn.tasks.checkpoint import Product
from medcnn.tasks.decision import Decision
from medcnn.tracking.logger import RunLogger
from medcnn.tracking.models import Logged, log_product
from medcnn.tracking.record import RunRecord


def _figures(cli: LightningCLI, stage: str) -> list[str]:
    values = {name: float(value) for name, value in cli.trainer.callback_metrics.items()}
    lines = []
    for name in cli.model.headline:
        if (value := values.get(f"{stage}/{name}")) is not None:
            ends, unit = _interval(values, f"{stage}/{name}"), cli.model.units.get(name, "")
            lines.append(f"{stage}/{name:<18} {value:.4f}{ends} {unit}".rstrip())
    return [*lines, "           (in brackets: 95 % intervals)"] if any(" to " in line for line in lines) else lines


def _interval(values: dict[str, float], name: str) -> str:
    ends = [values.get(f"{name}_{end}", math.nan) for end in ("low", "high")]
    return "" if any(map(math.isnan, ends)) else f" ({ends[0]:.4f} to {ends[1]:.4f})"


def _config_words(words: list[str]) -> str:
    named = [i for i, word in enumerate(words) if word in ("-c", "--config") or word.startswith("--data")]
    return " ".join(shlex.join(words[i : i + (1 if "=" in words[i] else 2)]) for i in named)


def _record(cli: LightningCLI) -> RunRecord | None:
    return next((c for c in cli.trainer.callbacks if isinstance(c, RunRecord)), None)  # type: ignore[attr-defined]


def finish_fit(cli: LightningCLI, words: list[str], ending: Ending) -> None:
    """Evaluate the best model once more, log it, and print what comes next.

    Args:
        cli: After its fit.
        words: What was typed, for the next command to begin as this one did.
        ending: How the fit ended.

    Raises:
        ConfigError: A model was to be registered that no metric has chosen.
    """
    trainer, task = cli.trainer, cli.model
    best = getattr(trainer.checkpoint_callback, "best_model_path", "")
    if not best:
        if trainer.is_global_zero:
            print(f"\nstopped    {ending.stopped}")
            tell_no_model(trainer, cli.config[cli.subcommand].get("register"))
        return
    # Once more over the validation cases with the best weights, at the decision stored with them.
    trainer.validate(task, datamodule=cli.datamodule, ckpt_path=best, verbose=False, weights_only=True)
    if trainer.is_global_zero:
        _say_fit(cli, Path(best), words, ending, _log_model(cli, Path(best), ending))


def _log_model(cli: LightningCLI, best: Path, ending: Ending) -> Logged | None:
    logger, record = cli.trainer.logger, _record(cli)
    if not isinstance(logger, RunLogger):
        return None
    if record is not None:
        record.log_decision(cli.trainer, cli.model)
    logger.log_tags({"training.stopped": ending.stopped, "training.kept": ending.kept or "not known"})
    options = cli.config[cli.subcommand]
    register = None if ending.unscored else options.get("register")
    with tempfile.TemporaryDirectory() as folder:
        Product.from_checkpoint(best).to_folder(Path(folder))
        return log_product(logger, Path(folder), register=register, alias=options.get("alias"))


def _say_fit(cli: LightningCLI, best: Path, words: list[str], ending: Ending, logged: Logged | None) -> None:
    run_id = getattr(cli.trainer.logger, "run_id", None)
    shown = best.relative_to(Path.cwd()) if best.is_relative_to(Path.cwd()) else best
    # A model that the store has not got yet is found by its file.
    model = f"runs:/{run_id}" if run_id and logged is not None else str(shown)
    lines = [f"stopped    {ending.stopped}", *([f"kept       {ending.kept}"] if ending.kept else [])]
    lines += [f"warning    {ending.unscored}"] if ending.unscored else []
    print(
        "\n".join(["", *lines, f"run        {run_id or 'not tracked'}", f"checkpoint {shown}", *_figures(cli, "val")])
    )
    if cli.model.decision is not None:
        _say_thresholds(cli.model.decision)
    if logged is not None and logged.version is not None:
        model = _say_registered(cli, logged.version)
    # Of several folds each is validated on, and nothing may be left to test.
    verb = "test" if (cli.datamodule.cases["split"] == "test").any() else "validate"
    print(f"next       medcnn {verb} {_config_words(words)} --ckpt_path {model}")
    print(f"           medcnn {'segment' if cli.model.per_voxel else 'score'} {model} FOLDER OUT")
    if ending.unscored and (name := cli.config[cli.subcommand].get("register")):
        raise ConfigError(
            f"nothing was registered as {name}: {ending.unscored}; validate on cases of every class, or choose another "
            "metric with --checkpoint.monitor"
        )


def _say_registered(cli: LightningCLI, version: str) -> str:
    """Say under which name the model is registered; returns what it is found by."""
    options = cli.config[cli.subcommand]
    name, alias = options["register"], options.get("alias")
    print(f"registered {name} version {version}" + (f" as {alias}" if alias else ""))
    return f"models:/{name}@{alias}" if alias else f"models:/{name}/{version}"


def _say_thresholds(decision: Decision) -> None:
    for name, threshold in decision.thresholds.items():
        if math.isnan(threshold):
            print(f"threshold  none for {name}: {decision.reasons.get(name, 'no figure')}; score will call it at 0.5")
        else:
            print(f"threshold  {threshold:.4f} for {name}, at a sensitivity of {decision.target_sensitivity:g} or more")


def say_figures(cli: LightningCLI, stage: str) -> None:
    """Say the figures of an evaluation and where they went."""
    if cli.trainer.is_global_zero:
        run_id = getattr(cli.trainer.logger, "run_id", None)
        opened = f"{run_id}; medcnn ui --run {run_id[:8]} opens it" if run_id else "not tracked"
        print("\n".join(["", *_figures(cli, stage), f"run        {opened}"]))
        if run_id and stage == "test":
            print(f"next       medcnn report runs:/{run_id}")


def _of_all_processes(cli: LightningCLI, part: torch.Tensor) -> torch.Tensor:
    """The rows of every process on the CPU, in the order of one: each holds its own share of the cases."""
    if cli.trainer.world_size == 1:
        return part.cpu()
    return torch.cat(gather_all_tensors(part.to(cli.trainer.strategy.root_device))).cpu()


def finish_predict(cli: LightningCLI) -> None:
    """Write one row a case: its pseudonym, and what the task says of it."""
    batches = cli.trainer.predict_loop.predictions
    found = {name: _of_all_processes(cli, torch.cat([batch[name] for batch in batches])) for name in batches[0]}
    if not cli.trainer.is_global_zero:
        return
    cases = cli.datamodule.cases.iloc[found["case"].numpy()]
    table = pd.DataFrame({"case": cases["case"].to_numpy()} | cli.model.columns(found))
    out = Path(cli.config[cli.subcommand].get("out") or "predictions.csv")
    write_frame(out, table)
    print(f"{len(table)} cases in {out}")
