"""``fit``, ``validate``, ``test`` and ``predict``: LightningCLI over our own parts."""

import importlib
import logging
import sys
import warnings
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from jsonargparse.typing import PositiveInt, register_type
from lightning_fabric.plugins import CheckpointIO
from pytorch_lightning.callbacks import LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback

from medcnn.cli.configuration import parse_configuration
from medcnn.cli.ending import ending_of
from medcnn.cli.finish import finish_fit, finish_predict, say_figures
from medcnn.cli.kept import check_kept, way_on
from medcnn.cli.mendable import REFUSALS, as_mendable, refused_arguments
from medcnn.cli.models import resolve_model
from medcnn.cli.positive import positive_line
from medcnn.cli.resume import Resumed, settings_of
from medcnn.cli.trainer import AutoTrainer, as_flag_error, check_flags, fitting_callbacks, resolve_precision
from medcnn.data.base import CohortDataModule
from medcnn.errors import ConfigError, LeakError
from medcnn.tasks.averaging import ExponentialAverage
from medcnn.tasks.checkpoint import Product, open_product
from medcnn.tasks.checkpoint_io import AtomicCheckpointIO
from medcnn.tasks.precision import AUTO, FLOAT32, Precision
from medcnn.tasks.seen import Seen
from medcnn.tasks.selection import BY_METRIC, BestCheckpoint, MetricEarlyStopping, resolved_mode
from medcnn.tasks.watch import GradientWatch
from medcnn.tracking.logger import RunLogger
from medcnn.tracking.record import RunRecord

# MONAI types ``keys`` as Hashable, which has no written form: without this a config holds a text in place of the key.
register_type(
    Hashable, serializer=lambda v: v, deserializer=lambda v: v, type_check=lambda v, t: isinstance(v, str | int)
)

#: Said by libraries about their own insides; nothing a user could act on.
QUIET = (
    ".*LeafSpec.*",
    ".*does not have many workers.*",
    ".*model summary.*",
    ".*WeightAveraging.*",
    ".*sync_dist.*",
    ".*srun.*",
    ".*exists and is not empty.*",
    ".*logging interval.*",
    ".*callbacks used to create the checkpoint.*",  # what a resumed fit keeps is in a table of our own
    ".*dirpath has changed.*",
    ".*could not find the monitored key.*",  # a training without validation says so at its end
    ".*Precision bf16-mixed is not supported by the model summary.*",
)

#: In place of a figure's name: the one that the task names as its own, written out before the run begins.
TASKS_OWN = "of the task"
CALLBACKS: dict[str, tuple[type[pl.Callback], dict[str, Any]]] = {
    "checkpoint": (
        BestCheckpoint,
        {
            "monitor": TASKS_OWN,
            "mode": BY_METRIC,
            "filename": "best",
            "auto_insert_metric_name": False,
            "enable_version_counter": False,
        },
    ),
    # Of its own: Lightning's save_last writes only when a new best is found, and training goes on from the last epoch.
    "last": (ModelCheckpoint, {"filename": "last", "save_on_train_epoch_end": True, "enable_version_counter": False}),
    "early_stopping": (
        MetricEarlyStopping,
        {"monitor": TASKS_OWN, "mode": BY_METRIC, "patience": 15, "check_finite": False},
    ),
    "learning_rate": (LearningRateMonitor, {"logging_interval": "epoch"}),
    "average": (ExponentialAverage, {}),
    "watch": (GradientWatch, {}),
    "record": (RunRecord, {}),
}


class ConfigText(SaveConfigCallback):
    """Hands the composed configuration to the run record; nothing is written beside the logger's store."""

    def save_config(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give the record the text; it logs it, scrubbed, when the run is open."""
        text = self.parser.dump(self.config, skip_none=False)
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, RunRecord):
                callback.config_text = text


class MedcnnCLI(LightningCLI):
    """One model, one data module, one run."""

    product: Product | None = None
    resumed: Resumed | None = None
    precision: Precision | None = None

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Name the parts that every run has, so that a config or the command line can set them."""
        for key, (callback, defaults) in CALLBACKS.items():
            parser.add_lightning_class_args(callback, key)
            parser.set_defaults({f"{key}.{name}": value for name, value in defaults.items()})
        parser.add_class_arguments(RunLogger, "tracking")
        parser.add_argument(
            "--threads",
            type=PositiveInt | None,
            default=None,
            help="CPU threads of a process, torch's choice by default; one is steady where others share the cores.",
        )
        parser.add_argument("--register", type=str | None, default=None, help="Name to register the best model under.")
        parser.add_argument("--alias", type=str, default="champion", help="Alias the registered version gets.")
        parser.add_argument("--out", type=str | None, default=None, help="Table that predict writes.")
        for name in ("classes", "multilabel"):
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse, and refuse whatever is outside the allow-list before anything is built."""
        self.words = list(args)
        self.config = parse_configuration(parser, self.words)

    def _parse_ckpt_path(self) -> None:
        """Resolve ``runs:/`` and ``models:/``, and read the model's own account of itself."""
        options = self.config[self.config.subcommand]
        if not options.get("ckpt_path"):
            if self.config.subcommand != "fit":
                raise ConfigError(
                    f"medcnn {self.config.subcommand} needs --ckpt_path: a file, runs:/ID or models:/name@alias"
                )
            return
        path = resolve_model(str(options["ckpt_path"]), resume=self.config.subcommand == "fit")
        if self.config.subcommand == "fit":
            options["ckpt_path"], self.resumed = str(path), Resumed(path)
        else:
            # The weights are put into the model by us: a registered model is a folder, which Lightning cannot open.
            self.product, options["ckpt_path"] = open_product(path), None

    def before_instantiate_classes(self) -> None:
        """Hold torch to the threads asked for; resolve what is left to the task, the metric or the machine."""
        options = self.config[self.config.subcommand]
        if options.get("threads"):
            torch.set_num_threads(options["threads"])
        for name in ("checkpoint", "early_stopping"):
            if options[name]["monitor"] == TASKS_OWN:
                options[name]["monitor"] = _monitor_of(options["model"]["class_path"])
            options[name]["mode"] = resolved_mode(str(options[name]["monitor"]), options[name]["mode"], name)
        if self.config.subcommand == "fit":
            check_flags(options["trainer"], options.get("register"))
            net = (options["model"].get("init_args") or {}).get("net")
            before = self.resumed.precision if self.resumed else None
            self.precision = resolve_precision(options["trainer"], net, before)
            options["trainer"]["precision"] = self.precision.name
        elif options["trainer"].get("precision") == AUTO:
            options["trainer"]["precision"] = FLOAT32
        if self.resumed is not None:
            self.resumed.check(self.settings)

    @property
    def settings(self) -> dict[str, Any]:
        """What this training is run with, by dotted names."""
        self._dump_config()
        return settings_of(self.config_dump)

    def instantiate_classes(self) -> None:
        """Build the parts; outside ``fit`` the model comes from its checkpoint, not from the config."""
        try:
            super().instantiate_classes()
        except REFUSALS as error:
            raise as_mendable(error) or refused_arguments(error) from error
        if self.product is None:
            return
        self.model = self.product.build_task()
        self._refuse_seen_cases()
        if tuple(self.model.classes) != tuple(self.datamodule.classes):
            raise ConfigError(
                f"the model knows the classes {', '.join(self.model.classes)}, the cohort has "
                f"{', '.join(self.datamodule.classes)}: name the cohort's classes as the model does"
            )

    def _refuse_seen_cases(self) -> None:
        """Refuse to evaluate on cases that were trained on; they get there by another seed, or under another name."""
        splits = {"test": "test", "validate": "val", "predict": "test"}
        if self.product is None or self.subcommand not in splits:
            return
        origin = self.product.provenance
        if origin.get("trained_on") and "trained_patients" not in origin:
            print(
                "warning: an earlier version of medcnn trained this model and recorded no contents: whether cases were "
                "trained on cannot be checked",
                file=sys.stderr,
            )
            return
        seen = Seen(tuple(origin.get("trained_on", ())), tuple(origin.get("trained_patients", ())))
        if not seen.cases:
            return
        self.datamodule.prepare_data()  # a public collection may still have to be fetched
        self.datamodule.setup(self.subcommand)
        found = seen.overlap(self.datamodule, splits[self.subcommand])
        if not found:
            return
        line = found.describe("validation" if self.subcommand == "validate" else "test")
        if self.datamodule.on_leak == "allow" or self.subcommand == "predict":
            print(f"warning: {line}: what is measured on them is worth nothing", file=sys.stderr)
            return
        raise LeakError(
            f"{line}, so the metrics would be worth nothing: give {self.subcommand} the same source, seed and "
            "fractions as fit, or cases that the model has not seen"
        )

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """Give the trainer the run: a new one, the checkpoint's own, or the one that is resumed."""
        options = self.config_init[self.subcommand]
        if options["trainer"].get("logger") is False:
            return super().instantiate_trainer(**kwargs)
        logger: RunLogger = options["tracking"]
        run_id = self._run_of_the_checkpoint(options)
        if run_id:
            logger.continue_run(run_id)
        return super().instantiate_trainer(logger=logger, **kwargs)

    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[pl.Callback]) -> pl.Trainer:
        given = config.get("plugins") or []
        plugins = list(given) if isinstance(given, list | tuple) else [given]
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            plugins.append(AtomicCheckpointIO())
        try:
            return super()._instantiate_trainer({**config, "plugins": plugins}, fitting_callbacks(config, callbacks))
        except (ValueError, TypeError, ImportError, RuntimeError) as error:
            raise as_flag_error(error) from error

    def _run_of_the_checkpoint(self, options: Any) -> str | None:
        if self.product is not None:
            return self.product.provenance.get("run_id")
        if self.subcommand == "fit" and options.get("ckpt_path"):
            return Product.from_checkpoint(Path(options["ckpt_path"])).provenance.get("run_id")
        return None

    def before_fit(self) -> None:
        """Refuse what would keep no model; keep the checkpoints of a run in a folder of its own."""
        if self.trainer.is_global_zero and (line := positive_line(self.model)):
            print(line)
        check_kept(self.trainer, self.config[self.subcommand].get("register"))
        if self.resumed is not None:
            self.resumed.check_parts(self.model)
        logger = self.trainer.logger
        self.model.run_id = (logger.run_id or "") if isinstance(logger, RunLogger) else ""
        self.model.settings = self.settings
        for checkpoint in self.trainer.checkpoint_callbacks:
            if isinstance(checkpoint, ModelCheckpoint) and checkpoint.dirpath is None:
                # Relative: the checkpoint keeps this path, and an absolute one names the user.
                checkpoint.dirpath = str(Path("checkpoints", self.model.run_id or "untracked"))
        if self.trainer.is_global_zero:
            if self.resumed is not None:
                print(self.resumed.table(self.settings), flush=True)
            if self.precision is not None and self.precision.reason:
                print(f"precision  {self.precision}", flush=True)

    def fit(self, **kwargs: Any) -> None:
        """Lightning's, and after Ctrl-C the way to go on."""
        try:
            self.trainer.fit(**kwargs)
        except SystemExit:
            if not self.trainer.interrupted:
                raise
            if self.trainer.is_global_zero:
                print(way_on(self.trainer), file=sys.stderr)
            sys.exit(130)
        except ValueError as error:
            if "val_check_interval" not in str(error):
                raise
            raise as_flag_error(error) from error
        self.ending = ending_of(self.trainer)

    def validate(self, **kwargs: Any) -> None:
        """Lightning's without its table: ours is shorter and names what a clinician reads."""
        self.trainer.validate(**kwargs | {"verbose": False})

    def before_test(self) -> None:
        """An examination takes minutes on a large net: say what it is at."""
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, RunRecord):
                callback.tell = print

    def test(self, **kwargs: Any) -> None:
        """Lightning's without its table."""
        self.trainer.test(**kwargs | {"verbose": False})

    def after_fit(self) -> None:
        """Store the model and say what comes next."""
        finish_fit(self, self.words, self.ending)

    def after_validate(self) -> None:
        """Say the figures."""
        say_figures(self, "val")

    def after_test(self) -> None:
        """Say the figures."""
        say_figures(self, "test")

    def after_predict(self) -> None:
        """Write the table."""
        finish_predict(self)


def _monitor_of(class_path: str) -> str:
    """The figure that a task names as its own; its loss where it names none."""
    module, _, name = class_path.rpartition(".")
    return str(getattr(getattr(importlib.import_module(module), name), "monitor", "val/loss"))


def _quiet() -> None:
    """Keep what a user should read; leave out what Lightning says of itself."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in QUIET:
        warnings.filterwarnings("ignore", message=message)


def run(words: list[str]) -> int:
    """Run one of Lightning's four verbs.

    Raises:
        ConfigError: If the words or a config do not parse; the message is jsonargparse's, in one line.
    """
    _quiet()
    try:
        MedcnnCLI(
            pl.LightningModule,
            CohortDataModule,
            args=words,
            trainer_class=AutoTrainer,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            seed_everything_default=0,
            trainer_defaults={"enable_model_summary": False},
            save_config_callback=ConfigText,
            save_config_kwargs={"save_to_log_dir": False},
            parser_kwargs={"prog": "medcnn", "exit_on_error": False},
        )
    except Exception as error:
        mendable = as_mendable(error)
        if mendable is None:
            raise
        raise mendable from error
    return 0
