"""Every flag of Lightning's trainer and every scheduler of torch: it works, or is refused in one line beforehand."""

import inspect

import pytest
import pytorch_lightning as pl
import torch

from medcnn.cli.trainer import resolve_precision

FLAG = "--trainer."
SCHEDULER = "--model.init_args.scheduler"

#: Flags that leave each other alone, tried in one fit.
TOGETHER = {
    "accelerator": "auto", "benchmark": "true", "default_root_dir": "elsewhere", "deterministic": "warn",
    "devices": "auto", "enable_autolog_hparams": "false", "enable_model_summary": "true",
    "enable_progress_bar": "true", "inference_mode": "false", "limit_predict_batches": "1",
    "limit_test_batches": "1", "log_every_n_steps": "1", "min_epochs": "1", "min_steps": "3", "model_registry": "none",
    "num_sanity_val_steps": "2", "plugins": "[]", "reload_dataloaders_every_n_epochs": "1",
    "strategy": "single_device", "sync_batchnorm": "true", "use_distributed_sampler": "false", "logger": "false",
    "profiler": "simple", "callbacks": "[{class_path: pytorch_lightning.callbacks.ModelSummary}]",
}  # fmt: skip

#: Flags with which a fit takes another way, each tried in a fit of its own.
WORK = [
    ("accumulate_grad_batches", "2"), ("check_val_every_n_epoch", "2"), ("detect_anomaly", "true"),
    ("deterministic", "true"), ("enable_checkpointing", "false"), ("fast_dev_run", "true"), ("fast_dev_run", "2"),
    ("gradient_clip_algorithm", "value"), ("gradient_clip_val", "0.5"), ("limit_train_batches", "0.5"),
    ("limit_train_batches", "0"), ("limit_val_batches", "2"), ("limit_val_batches", "0"), ("max_epochs", "0"),
    ("max_steps", "3"), ("max_time", "00:00:00:00"), ("overfit_batches", "1"), ("overfit_batches", "0.5"),
    ("precision", "64-true"), ("precision", "bf16-mixed"), ("precision", "auto"), ("profiler", "pytorch"),
    ("val_check_interval", "2"), ("val_check_interval", "0.5"), ("val_check_interval", "00:00:00:01"),
]  # fmt: skip

REFUSED = [
    ("accelerator", "nope", "accelerator"), ("accumulate_grad_batches", "0", "accumulate_grad_batches is 0"),
    ("barebones", "true", "trainer.barebones"), ("devices", "0", "devices"),
    ("gradient_clip_algorithm", "nope", "gradient_clip_algorithm"), ("precision", "bf16-true", "precision"),
    ("precision", "nope", "precision"), ("profiler", "xla", "torch_xla"), ("strategy", "ddp_spawn", "use ddp"),
    ("strategy", "fsdp", "use ddp"), ("strategy", "nope", "strategy"),
    ("val_check_interval", "100", "val_check_interval"), ("val_check_interval", "1.5", "val_check_interval"),
]  # fmt: skip

#: Waits for machines that are not there.
UNTRIED = {"num_nodes"}

SCHEDULES = {
    "ConstantLR": {}, "CosineAnnealingLR": {"T_max": "2"}, "CosineAnnealingWarmRestarts": {"T_0": "2"},
    "CyclicLR": {"base_lr": "0.001", "max_lr": "0.01"}, "ExponentialLR": {"gamma": "0.9"}, "LinearLR": {},
    "MultiStepLR": {"milestones": "[1]"}, "OneCycleLR": {"max_lr": "0.01"}, "PolynomialLR": {},
    "ReduceLROnPlateau": {}, "StepLR": {"step_size": "1"},
}  # fmt: skip
NEED_OBJECTS = {"ChainedScheduler", "LRScheduler", "LambdaLR", "MultiplicativeLR", "SequentialLR"}


def _schedule(name: str, arguments: dict[str, str]) -> list[str]:
    words = [SCHEDULER, f"torch.optim.lr_scheduler.{name}"]
    for key, value in arguments.items():
        words += [f"{SCHEDULER}.init_args.{key}", value]
    return words


def _refused(code: int, error: str, said: str) -> None:
    lines = [line for line in error.strip().splitlines() if "Warning" not in line]
    assert code == 2, error
    assert said in lines[-1]
    assert "Traceback" not in error


def test_no_flag_of_the_trainer_is_left_out() -> None:
    tried = {flag for flag, *_ in WORK + REFUSED} | set(TOGETHER) | UNTRIED
    assert tried == set(inspect.signature(pl.Trainer.__init__).parameters) - {"self"}


def test_no_scheduler_of_torch_is_left_out() -> None:
    module = torch.optim.lr_scheduler
    found = {name for name in module.__all__ if isinstance(getattr(module, name), type)}
    assert found == set(SCHEDULES) | NEED_OBJECTS


def test_a_fit_works_with_flags_that_leave_each_other_alone(tiny_fit) -> None:
    assert tiny_fit(*(word for flag, value in TOGETHER.items() for word in (FLAG + flag, value)), tracked=True) == 0


@pytest.mark.parametrize(("flag", "value"), WORK)
def test_a_fit_works_with_the_flag(flag: str, value: str, tiny_fit, capfd: pytest.CaptureFixture[str]) -> None:
    assert tiny_fit(FLAG + flag, value) == 0
    said = capfd.readouterr()
    assert "\nstopped    after epoch" in said.out
    assert "Traceback" not in said.err


@pytest.mark.parametrize(("flag", "value", "said"), REFUSED)
def test_a_flag_is_refused_in_one_line(
    flag: str, value: str, said: str, tiny_fit, capsys: pytest.CaptureFixture[str]
) -> None:
    _refused(tiny_fit(FLAG + flag, value), capsys.readouterr().err, said)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_a_fit_works_with_the_scheduler(name: str, tiny_fit) -> None:
    assert tiny_fit(*_schedule(name, SCHEDULES[name])) == 0


@pytest.mark.parametrize("name", sorted(NEED_OBJECTS))
def test_a_scheduler_made_of_objects_is_refused(name: str, tiny_fit, capsys: pytest.CaptureFixture[str]) -> None:
    _refused(tiny_fit(*_schedule(name, {})), capsys.readouterr().err, "")


@pytest.mark.parametrize(
    ("name", "arguments", "words", "said"),
    [
        ("OneCycleLR", {"max_lr": "0.01", "total_steps": "3"}, (), "OneCycleLR ends after 3 steps"),
        ("StepLR", {"step_size": "0"}, (), "StepLR does not fit AdamW"),
        ("ReduceLROnPlateau", {"mode": "max"}, (), "leave its mode at min"),
        ("ReduceLROnPlateau", {}, (f"{FLAG}limit_val_batches", "0"), "waits for validations"),
    ],
)
def test_a_schedule_that_would_fail_later_is_refused(
    name: str, arguments: dict[str, str], words: tuple[str, ...], said: str, tiny_fit, capsys
) -> None:
    _refused(tiny_fit(*_schedule(name, arguments), *words), capsys.readouterr().err, said)


def test_a_plateau_is_seen_where_validation_is_rarer(tiny_fit, capsys) -> None:
    words = (f"{FLAG}max_epochs", "4", f"{FLAG}check_val_every_n_epoch", "2")
    assert tiny_fit(*_schedule("ReduceLROnPlateau", {}), *words) == 0
    assert "after epoch 4 of 4, the last" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["LBFGS", "SparseAdam", "Muon"])
def test_an_optimizer_for_other_parameters_is_refused(name: str, tiny_fit, capsys) -> None:
    _refused(tiny_fit("--model.init_args.optimizer", f"torch.optim.{name}"), capsys.readouterr().err, name)


def test_a_cpu_is_recorded_with_the_type_that_it_trains_in() -> None:
    chosen = resolve_precision({"precision": "16-mixed", "accelerator": "cpu"}, None, None)
    assert chosen.name == "bf16-mixed"
    assert resolve_precision({"precision": None, "accelerator": "cpu"}, None, None).name == "32-true"


def test_a_resumed_training_keeps_its_precision_unless_asked() -> None:
    flags = {"precision": "auto", "accelerator": "cpu"}
    assert resolve_precision(flags, None, "bf16-mixed").name == "bf16-mixed"
    assert resolve_precision(flags | {"precision": "32-true"}, None, "bf16-mixed").name == "32-true"
