"""Lightning's trainer with the flags that medcnn can honor; the others are refused before anything is opened."""

from collections.abc import Mapping
from typing import Any, Literal

import pytorch_lightning as pl
from pytorch_lightning.callbacks import LearningRateMonitor, ModelCheckpoint

from medcnn.errors import ConfigError
from medcnn.tasks.precision import AUTO, BFLOAT16, FLOAT32, Precision, choose_precision

PrecisionName = Literal["auto", "32-true", "bf16-mixed", "16-mixed", "64-true", "32", "bf16", "16", "64"]
#: Parts of names of strategies, and why they are refused.
_STRATEGIES = {
    "spawn": "its processes do not return the model",
    "fork": "its processes do not return the model",
    "notebook": "its processes do not return the model",
    "fsdp": "the average of the weights needs the whole net on each device",
    "deepspeed": "the average of the weights needs the whole net on each device",
    "model_parallel": "the average of the weights needs the whole net on each device",
}


class AutoTrainer(pl.Trainer):
    """Lightning's trainer, with a precision that may be left to the machine.

    Args:
        precision: As Lightning's, or "auto": the faster of float32 and bfloat16, as measured here.
    """

    def __init__(self, *args: Any, precision: PrecisionName | int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, precision=precision, **kwargs)  # type: ignore[arg-type]  # "auto" was resolved before


def check_flags(flags: Mapping[str, Any], register: str | None) -> None:
    """Refuse flags that would fail in the middle of a training, or train what nobody could use.

    Args:
        flags: The trainer's settings.
        register: Name that the best model is to be registered under.

    Raises:
        ConfigError: Names the flag and what to do.
    """
    if flags.get("barebones"):
        raise ConfigError(
            "trainer.barebones switches off the metrics by which a model is chosen; leave it out, and measure speed "
            "with trainer.profiler simple"
        )
    if (flags.get("accumulate_grad_batches") or 0) < 1:
        raise ConfigError(f"trainer.accumulate_grad_batches is {flags.get('accumulate_grad_batches')}; give 1 or more")
    if flags.get("fast_dev_run") and register:
        raise ConfigError("trainer.fast_dev_run keeps no model to register: leave out it or --register")
    strategy = flags.get("strategy")
    for part, why in _STRATEGIES.items():
        if isinstance(strategy, str) and part in strategy:
            raise ConfigError(f"trainer.strategy is {strategy}: {why}; use ddp for several devices")


def resolve_precision(flags: Mapping[str, Any], net: Mapping[str, Any] | None, previous: str | None) -> Precision:
    """The number type to train in.

    Args:
        flags: The trainer's settings.
        net: The net's configuration, which gives the dimensions of the images.
        previous: What a resumed training was trained in.
    """
    asked, accelerator = flags.get("precision"), str(flags.get("accelerator"))
    if asked != AUTO:
        if accelerator == "cpu" and str(asked) in ("16", "16-mixed"):
            return Precision(BFLOAT16, "a CPU does not train in float16")
        return Precision(FLOAT32 if asked is None else str(asked))
    if previous:
        return Precision(previous, "as the checkpoint was trained")
    arguments = (net or {}).get("init_args") or {}
    return choose_precision(accelerator, 3 if arguments.get("spatial_dims") == 3 else 2)


def fitting_callbacks(flags: Mapping[str, Any], callbacks: list[pl.Callback]) -> list[pl.Callback]:
    """The callbacks that these flags leave something to do."""
    idle: tuple[type[pl.Callback], ...] = ()
    if flags.get("logger") is False:  # the learning rate is a curve, and there is nowhere to draw one
        idle += (LearningRateMonitor,)
    if flags.get("enable_checkpointing") is False:
        idle += (ModelCheckpoint,)
    return [callback for callback in callbacks if not isinstance(callback, idle)]


def as_flag_error(error: Exception) -> ConfigError:
    """What Lightning says of a flag as one line for the user."""
    first = " ".join(str(error).split())[:300]
    return ConfigError(f"the trainer does not start with these flags: {first or type(error).__name__}")
