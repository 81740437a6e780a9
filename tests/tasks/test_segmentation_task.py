"""A fit from end to end on balls in noise, on oblique and unequal grids."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from point_cohort import quiet_trainer
from sphere_cohort import CLASSES, SphereCohort, ball_case, made_segmentation, net_recipe

from medcnn.errors import ConfigError
from medcnn.tasks.averaging import ExponentialAverage
from medcnn.tasks.checkpoint import Product
from medcnn.tasks.segmentation import spacing_of
from medcnn.tasks.watch import GradientWatch


class BothSizes(torch.nn.Module):
    """A loss that takes a list of logits, the finest first."""

    def forward(self, logits, mask):
        if isinstance(logits, torch.Tensor):
            return F.cross_entropy(logits, mask)
        return sum(F.cross_entropy(part, mask[:, :: 2**i, :: 2**i, :: 2**i]) for i, part in enumerate(logits))


def dice_by_hand(found, true, value):
    return 2 * ((found == value) & (true == value)).sum() / ((found == value).sum() + (true == value).sum())


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """One fit; what it logged and how it judged the cases."""
    model, data = made_segmentation(), SphereCohort()
    run = quiet_trainer(tmp_path_factory.mktemp("fit"), max_epochs=16)
    run.fit(model, datamodule=data)
    logged = {name: float(value) for name, value in run.callback_metrics.items()}
    return model, run, logged, model.evaluated["val"]


@pytest.fixture
def fitted(learned):
    return learned[0], SphereCohort(), learned[1]


def test_a_fit_finds_the_balls_and_logs_what_it_is_judged_by(learned):
    (model, _, found, kept), data = learned, SphereCohort()
    assert found["val/dice"] > 0.9
    by_hand = np.zeros((5, 2))
    for row, case in enumerate(data.judged):
        labels = model.predict(case["image"]).argmax(0)
        by_hand[row] = [dice_by_hand(labels, case["mask"][0], value) for value in (1, 2)]
    assert found["val/dice/small"] == pytest.approx(by_hand[:, 0].mean(), abs=1e-6)
    assert found["val/dice"] == pytest.approx(by_hand.mean(), abs=1e-6)
    np.testing.assert_allclose(kept["dice"], by_hand, atol=1e-6)
    assert not {name for name in found if "nsd" in name or "hd95" in name}  # they take time
    assert math.isfinite(found["train/loss"])
    losses = [F.cross_entropy(model(case["image"]), case["mask"]).item() for case in data.judged]
    assert found["val/loss"] == pytest.approx(np.mean(losses), rel=1e-4)


def test_volumes_are_in_cubic_millimeters_of_the_case(learned):
    kept, data = learned[3], SphereCohort()
    voxels = [int((case["mask"] == 2).sum()) for case in data.judged]
    # 1.0 x 1.5 x 2.0 mm, turned in the scanner's plane.
    np.testing.assert_allclose(kept["truth_mm3"][:, 1], 3.0 * np.array(voxels))
    assert spacing_of(data.judged[0]).tolist() == pytest.approx([1.0, 1.5, 2.0])


def test_outside_a_fit_distances_are_measured_too(fitted):
    model, data, run = fitted
    [found] = run.test(model, datamodule=data, verbose=False)
    assert {"test/dice", "test/nsd", "test/hd95_mm", "test/hd95_mm/small", "test/volume_error/large"} <= found.keys()


def test_a_case_is_judged_on_the_grid_of_its_source_where_the_data_knows_it(fitted):
    model, data, run = fitted
    twice = {int(case["case"]): case["mask"][0].repeat_interleave(2, 0) for case in data.judged}
    data.truth = lambda case: (twice[case], (0.5, 1.5, 2.0))
    data.to_source = lambda probabilities, case: torch.zeros_like(twice[case])
    [found] = run.test(model, datamodule=data, verbose=False)
    assert found["test/dice"] == 0
    assert found["test/volume_bias/small"] == -1
    np.testing.assert_allclose(
        model.evaluated["test"]["truth_mm3"][:, 0], [1.5 * int((mask == 1).sum()) for mask in twice.values()]
    )


def test_predictions_are_volumes_in_a_table(fitted):
    model, data, run = fitted
    parts = run.predict(model, datamodule=data)
    joined = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    table = model.columns(joined)
    assert list(table) == ["volume_mm3/small", "volume_mm3/large"]
    run.validate(model, datamodule=data, verbose=False)
    np.testing.assert_allclose(table["volume_mm3/large"], model.evaluated["val"]["volume_mm3"][:, 1])


def test_the_checkpoint_alone_rebuilds_the_task(fitted, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDCNN_ALLOW", "sphere_cohort")
    model, data, run = fitted
    run.save_checkpoint(tmp_path / "model.ckpt")
    product = Product.from_checkpoint(tmp_path / "model.ckpt")
    product.to_folder(tmp_path / "folder")
    again = Product.from_folder(tmp_path / "folder").build_task()
    image = data.judged[1]["image"]
    assert torch.equal(again.predict(image), model.predict(image))
    assert (product.classes, product.decision, product.provenance["per_voxel"]) == (CLASSES, None, True)
    assert product.provenance["trained_on"] == [f"c{n:012x}" for n in range(5, 13)]
    assert product.provenance["spacing_mm"] == pytest.approx([1.0, 1.5, 2.0])


def test_how_a_whole_image_is_seen_is_part_of_the_checkpoint(trainer, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDCNN_ALLOW", "sphere_cohort")
    model, run = made_segmentation(patch_size=[8, 8, 8], overlap=0.25, mirror_axes=[0, 2]), trainer(max_epochs=1)
    run.fit(model, datamodule=SphereCohort())
    run.save_checkpoint(tmp_path / "model.ckpt")
    again = Product.from_checkpoint(tmp_path / "model.ckpt").build_task()
    assert (again.patch_size, again.overlap, again.mirror_axes) == ((8, 8, 8), 0.25, (0, 2))
    image = ball_case(3)["image"]
    assert torch.equal(again.predict(image), model.eval().predict(image))


def test_without_a_window_of_its_own_a_task_takes_that_of_the_training_data(trainer, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDCNN_ALLOW", "sphere_cohort")
    model, data, run = made_segmentation(), SphereCohort(), trainer(max_epochs=1)
    data.patch_size = (8, 8, 8)
    run.fit(model, datamodule=data)
    run.save_checkpoint(tmp_path / "model.ckpt")
    assert Product.from_checkpoint(tmp_path / "model.ckpt").build_task().patch_size == (8, 8, 8)


def test_deep_supervision_an_average_of_weights_and_the_watch_work_together(trainer):
    model = made_segmentation(net=net_recipe(deep=True))
    model.loss = BothSizes()
    run = trainer(max_epochs=12, callbacks=[ExponentialAverage(decay=0.9), GradientWatch(every=1)])
    run.fit(model, datamodule=SphereCohort())
    assert run.callback_metrics["val/dice"] > 0.8
    assert math.isfinite(run.callback_metrics["train/gradient_norm"])


def test_voxels_of_unknown_class_take_no_part(trainer):
    data, model, run = SphereCohort(), made_segmentation(), trainer(max_epochs=1)
    for case in data.judged:
        case["mask"][case["mask"] == 1] = -1
    run.validate(model, datamodule=data, verbose=False)
    assert (model.evaluated["val"]["truth_mm3"][:, 0] == 0).all()
    unknown = torch.stack([(model.predict(c["image"]).argmax(0) == 1)[c["mask"][0] >= 0].sum() for c in data.judged])
    np.testing.assert_allclose(model.evaluated["val"]["volume_mm3"][:, 0], 3.0 * unknown)


@pytest.mark.parametrize(("change", "said"), [
    ({"net": net_recipe(out_channels=4)}, r"set its number of outputs .*out_channels 3"),
    ({"classes": ["background", "ball"], "net": net_recipe(out_channels=2)}, r"holds the value 2; expected 0 to 1"),
])  # fmt: skip
def test_a_net_or_masks_that_do_not_fit_the_classes_are_told_in_one_line(trainer, change, said):
    model, data = made_segmentation(loss={"class_path": "torch.nn.Identity"}, **change), SphereCohort()
    model.loss = torch.nn.CrossEntropyLoss(ignore_index=-1)
    with pytest.raises(ConfigError, match=said) as caught:
        trainer(num_sanity_val_steps=1).fit(model, datamodule=data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("change", "said"), [
    ({"patch_size": [8]}, "patch_size"), ({"overlap": 1.0}, "overlap"), ({"mirror_axes": [0, 0]}, "mirror_axes"),
    ({"mirror_axes": [2], "patch_size": [8, 8]}, "from 0 to 1"), ({"tolerance_mm": 0.0}, "tolerance_mm"),
    ({"classes": ["ball"]}, "classes are"),
])  # fmt: skip
def test_settings_that_make_no_sense_are_refused(change, said):
    with pytest.raises(ConfigError, match=said):
        made_segmentation(**change)
