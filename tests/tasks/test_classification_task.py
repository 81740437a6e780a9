"""A fit from end to end on a cohort that needs no file."""

import math

import pytest
import torch
import torch.nn.functional as F
from pytorch_lightning.callbacks import Callback
from sklearn.metrics import roc_auc_score

from medcnn.errors import ConfigError
from medcnn.tasks.classification import ClassificationTask
from medcnn.tasks.decision import choose_decision

LOSSES = "medcnn.losses."
BINARY = {"class_path": LOSSES + "weighted_binary_cross_entropy.WeightedBinaryCrossEntropy",
          "init_args": {"pos_weight": "balanced"}}  # fmt: skip


def test_a_fit_learns_and_logs_what_it_is_judged_by(trainer, task, cohort):
    model, data, run = task(), cohort(), trainer(max_epochs=8)
    run.fit(model, datamodule=data)
    found = {name: float(value) for name, value in run.callback_metrics.items()}
    assert set(found) == {
        "train/loss", "val/loss", "val/auroc", "val/average_precision", "val/brier", "val/specificity_at_target",
    }  # fmt: skip
    label = data.splits["val"]["label"]
    with torch.no_grad():
        logits = model.eval()(data.splits["val"]["image"])
    known = label >= 0
    assert found["val/auroc"] == pytest.approx(roc_auc_score(label[known], logits.softmax(1)[known, 1]), abs=1e-6)
    assert found["val/auroc"] > 0.7
    weight = torch.tensor([58.0, 58.0]) / (2 * data.class_counts("train"))
    assert found["val/loss"] == pytest.approx(F.cross_entropy(logits[known], label[known], weight).item(), rel=1e-5)


def test_the_loss_of_training_is_the_mean_over_what_the_batches_weighed(trainer, task, cohort):
    model, data = task(), cohort(size=7)
    model.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    model.optimizer = lambda groups: torch.optim.SGD(groups, lr=0.0)
    run = trainer(max_epochs=1)
    run.fit(model, datamodule=data)
    batches = list(data.train_dataloader())
    with torch.no_grad():
        logits = torch.cat([model(batch["image"]) for batch in batches])
    label = torch.cat([batch["label"] for batch in batches])
    expected = F.cross_entropy(logits, label, model.loss.weight, ignore_index=-1)
    assert run.callback_metrics["train/loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_the_decision_is_chosen_on_the_validation_cases_and_judges_the_test(trainer, task, cohort):
    model, data, run = task(), cohort(), trainer()
    run.fit(model, datamodule=data)
    kept = model.evaluated["val"]
    assert model.decision == choose_decision(kept["logits"], kept["labels"], model.classes)
    assert (model.decision.chosen_on, model.decision.cases) == ("val", 58)
    decided = model.decision
    [found] = run.test(model, datamodule=data, verbose=False)
    assert model.decision is decided
    given, label = model.probabilities(model.evaluated["test"]["logits"]), data.splits["test"]["label"]
    called = given[:, 1] >= decided.thresholds["effusion"]
    assert found["test/sensitivity"] == pytest.approx(called[label == 1].float().mean().item())
    assert found["test/specificity"] == pytest.approx((~called)[label == 0].float().mean().item())


def test_a_sanity_check_decides_and_keeps_nothing(trainer, task, cohort):
    class AfterSanity(Callback):
        def on_sanity_check_end(self, trainer, task):
            self.found = (dict(task.evaluated), task.decision)

    seen = AfterSanity()
    trainer(max_epochs=1, num_sanity_val_steps=2, callbacks=[seen]).fit(task(), datamodule=cohort())
    assert seen.found == ({}, None)


def test_several_classes(trainer, task, cohort):
    names = ("normal", "bacterial", "viral")
    model, run = task(names), trainer(max_epochs=3)
    run.fit(model, datamodule=cohort(classes=names))
    assert {"val/auroc/viral", "val/accuracy", "val/sensitivity/bacterial"} <= run.callback_metrics.keys()
    assert set(model.decision.thresholds) == set(names)


def test_findings_that_may_stand_together_with_unknown_ones(trainer, task, cohort):
    names = ("mass", "nodule", "effusion")
    model, run = task(names, multilabel=True, loss=BINARY), trainer(max_epochs=3)
    data = cohort(classes=names, multilabel=True)
    run.fit(model, datamodule=data)
    counts = data.class_counts("train")
    torch.testing.assert_close(model.loss.pos_weight, counts[:, 0] / counts[:, 1])
    assert math.isfinite(run.callback_metrics["val/auroc/mass"])
    [found] = run.test(model, datamodule=data, verbose=False)
    assert {"test/sensitivity/nodule", "test/f1"} <= found.keys()


def test_a_class_absent_from_validation_is_nan_with_a_reason(trainer, task, cohort):
    model, data = task(), cohort()
    data.splits["val"]["label"].clamp_(max=0)
    run = trainer(max_epochs=1)
    run.fit(model, datamodule=data)
    assert math.isnan(run.callback_metrics["val/auroc"])
    assert "effusion" in model.summaries["val"].reasons["auroc"]
    assert "effusion" in model.decision.reasons


def test_prediction_gives_case_and_calibrated_probabilities(trainer, task, cohort):
    model, data, run = task(), cohort(), trainer(max_epochs=1)
    run.fit(model, datamodule=data)
    batches = run.predict(model, datamodule=data)
    assert torch.cat([batch["case"] for batch in batches]).tolist() == list(range(61))
    run.test(model, datamodule=data, verbose=False)
    expected = (model.evaluated["test"]["logits"] / model.decision.temperature).softmax(1)
    torch.testing.assert_close(torch.cat([batch["probabilities"] for batch in batches]), expected)


def test_weights_are_counted_in_the_training_split_alone(trainer, task, cohort):
    data = cohort()
    asked = []
    counted = data.class_counts
    data.class_counts = lambda split: asked.append(split) or counted(split)
    trainer(max_epochs=1).fit(task(), datamodule=data)
    assert [split for split in asked if split != "val"] == ["train"]  # validation is only looked at for missing classes


def test_a_resumed_training_keeps_the_weights_it_began_with(trainer, task, cohort, tmp_path):
    run, model = trainer(max_epochs=1), task()
    run.fit(model, datamodule=cohort())
    run.save_checkpoint(tmp_path / "one.ckpt")
    other, resumed = cohort(), task()
    other.class_counts = lambda _: torch.tensor([1, 99])
    trainer(max_epochs=2).fit(resumed, datamodule=other, ckpt_path=tmp_path / "one.ckpt")
    assert torch.equal(resumed.loss.weight, model.loss.weight)


def test_half_precision_is_judged_in_full(trainer, task, cohort):
    model = task()
    trainer(max_epochs=1, precision="bf16-mixed").fit(model, datamodule=cohort())
    assert model.evaluated["val"]["logits"].dtype == torch.float32


@pytest.mark.parametrize(("arguments", "data", "said"), [
    ({}, {"classes": ("a", "b", "c"), "unknown": 0}, "expected 0 to 1"),
    ({}, {"multilabel": True}, "multi-label where the task is not"),
    ({"multilabel": True, "loss": BINARY}, {}, "not multi-label where the task is"),
])  # fmt: skip
@pytest.mark.parametrize("counted", [True, False])
def test_data_of_another_kind_says_so(trainer, task, cohort, arguments, data, said, counted):
    model, cases = task(**arguments), cohort(**data)
    if not counted:
        model.loss.rule, model.loss.set_counts = None, lambda _: None
        cases.class_counts = lambda _: torch.ones((2, 2) if model.multilabel else 2)
    elif said == "expected 0 to 1":
        said = "has other classes"
    with pytest.raises(ConfigError, match=said) as caught:
        trainer().fit(model, datamodule=cases)
    assert "\n" not in str(caught.value)


def test_a_net_with_another_number_of_logits_is_told_the_right_one(trainer, task, cohort):
    model = task(("a", "b", "c"))
    model.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    with pytest.raises(ConfigError, match=r"set its number of outputs .*out_channels 3"):
        trainer(num_sanity_val_steps=2).fit(model, datamodule=cohort(classes=("a", "b", "c")))


def test_images_the_net_does_not_take_are_named(trainer, task, cohort):
    data = cohort()
    for split in data.splits.values():
        split["image"] = split["image"].expand(-1, 3, -1, -1)
    with pytest.raises(ConfigError, match=r"\(3, 4, 4\)"):
        trainer().fit(task(), datamodule=data)


@pytest.mark.parametrize("classes", [[], ["a"], ["a", "a"], "ab"])
def test_classes_that_are_none_are_refused(classes):
    with pytest.raises(ConfigError, match="classes are"):
        ClassificationTask(torch.nn.Identity(), torch.nn.CrossEntropyLoss(), classes)


@pytest.mark.parametrize("target", [0.0, 1.5])
def test_a_target_that_is_no_share_is_refused(target):
    with pytest.raises(ConfigError, match="target_sensitivity"):
        ClassificationTask(torch.nn.Identity(), torch.nn.CrossEntropyLoss(), ("a", "b"), target_sensitivity=target)


def test_weights_to_be_counted_without_counts_are_refused(trainer, task, cohort):
    data = cohort()
    with pytest.raises(ConfigError, match="balanced"):
        trainer().fit(
            task(), train_dataloaders=[next(iter(data.val_dataloader()))], val_dataloaders=data.val_dataloader()
        )
