"""Embeddings against the layers by hand, maps against scikit-learn, neighbors against brute force."""

import numpy as np
import pytest
import torch
from monai.networks.nets import DenseNet
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from torch import Tensor, nn

from medcnn.explain.embedding import Place, embed, embedding_place, nearest, project, remoteness
from medcnn.nets.fcn import FCN
from medcnn.nets.resnet import ResNet
from medcnn.nets.unet import UNet


def images(dims: int, batch: int = 3) -> Tensor:
    return torch.rand(batch, 1, *[16] * dims, generator=torch.Generator().manual_seed(0))


def groups(each: int = 30, apart: float = 6.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    centers = apart * rng.normal(size=(3, 12))
    which = np.repeat([0, 1, 2], each)
    return centers[which] + rng.normal(size=(3 * each, 12)), which


@pytest.mark.parametrize("dims", [2, 3])
def test_the_last_linear_layer_of_the_embedding_gives_the_logits(dims: int) -> None:
    net = ResNet(dims, 1, 3, widths=(4, 8), depths=(1, 1), dropout=0.5)
    features = embed(net, images(dims))
    torch.testing.assert_close(net.classifier(features), net.eval()(images(dims)))
    assert embedding_place(net, images(dims)) == Place("classifier", "input")


def test_a_foreign_net_is_read_at_its_last_linear_layer() -> None:
    net = DenseNet(2, 1, 3, init_features=8, growth_rate=4, block_config=(2, 2))
    features = embed(net, images(2))
    torch.testing.assert_close(net.class_layers.out(features), net.eval()(images(2)))


def test_a_net_without_a_linear_layer_is_read_at_its_last_features_and_not_at_its_votes() -> None:
    net = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert embedding_place(net, images(2)) == Place("1", "pooled")
    torch.testing.assert_close(embed(net, images(2)), net[:2](images(2)).mean((2, 3)))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("make", [UNet, FCN])
def test_a_segmentation_net_is_read_at_its_coarsest_features(make: type[nn.Module], dims: int) -> None:
    net = make(dims, 1, 3, widths=(8, 16, 24), **({"strides": (2, 2)} if make is UNet else {}))
    assert embed(net, images(dims)).shape == (3, 24)


def test_the_net_is_left_as_it_was() -> None:
    net = ResNet(2, 1, 2, widths=(4, 8), depths=(1, 1)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with torch.inference_mode():
        embed(net, images(2))
    assert net.training
    assert not any(module._forward_hooks for module in net.modules())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_principal_components_are_those_of_a_second_library() -> None:
    features, _ = groups()
    found = project(features, "pca", 3)
    centered = features - features.mean(0)
    values, vectors = np.linalg.eigh(centered.T @ centered)
    np.testing.assert_allclose(np.abs(found.points), np.abs(centered @ vectors[:, ::-1][:, :3]), atol=1e-8)
    np.testing.assert_allclose(found.explained, values[::-1][:3] / values.sum())
    np.testing.assert_allclose(found.points, PCA(3, svd_solver="full").fit_transform(features), atol=1e-8)


@pytest.mark.parametrize("dims", [2, 3])
def test_t_sne_keeps_neighborhoods_and_repeats_itself(dims: int) -> None:
    features, which = groups()
    found = project(features, "tsne", dims, seed=1)
    assert found.points.shape == (90, dims)
    assert trustworthiness(features, found.points, n_neighbors=10) > 0.9
    # In the map, the nearest other case is of the same group.
    assert (which[nearest(found.points, found.points, 2, "euclidean").indices[:, 1]] == which).all()
    np.testing.assert_array_equal(found.points, project(features, "tsne", dims, seed=1).points)


@pytest.mark.parametrize("cases", [0, 1, 2, 4, 5, 7])
@pytest.mark.parametrize("dims", [2, 3])
def test_few_cases_have_a_map_and_a_word_about_it(cases: int, dims: int) -> None:
    features = groups()[0][:cases]
    found = project(features, "tsne", dims)
    assert found.points.shape == (cases, dims)
    assert np.isfinite(found.points).all()
    assert bool(found.reason) == (cases < 5)
    alike = project(np.ones((6, 4)), "tsne", dims)
    assert "differ" in alike.reason
    assert not alike.points.any()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbors_are_those_of_all_pairs(metric: str) -> None:
    rng = np.random.default_rng(0)
    training, queries = rng.normal(size=(40, 6)), rng.normal(size=(5, 6))
    if metric == "cosine":
        unit = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in (training, queries)]
        pairs = 1 - unit[1] @ unit[0].T
    else:
        pairs = np.linalg.norm(queries[:, None] - training[None], axis=2)
    found = nearest(training, queries, 3, metric)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.indices, np.argsort(pairs, axis=1)[:, :3])
    np.testing.assert_allclose(found.distances, np.sort(pairs, axis=1)[:, :3], atol=1e-9)
    assert nearest(training[:2], queries, 5, metric).indices.shape == (5, 2)  # type: ignore[arg-type]


def test_a_case_from_elsewhere_lies_farther_than_the_training_cases_among_themselves() -> None:
    rng = np.random.default_rng(0)
    training, same = rng.normal(size=(400, 4)), rng.normal(size=(400, 4))
    usual = remoteness(training, same, metric="euclidean").farther_than
    assert abs(usual.mean() - 0.5) < 0.06
    assert (remoteness(training, same + 20, metric="euclidean").farther_than == 1).all()
    assert np.isnan(remoteness(training[:1], same).distance).all()


def test_features_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        project(np.full((3, 2), np.nan))
    with pytest.raises(ValueError, match="as many columns"):
        nearest(np.ones((3, 2)), np.ones((3, 4)))
