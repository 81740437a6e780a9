"""Cases as a net sees them last: the features before its decision, maps of them, and who lies near whom."""

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from medcnn.explain.grad_cam import undisturbed

Array = NDArray[np.float64]
Metric = Literal["cosine", "euclidean"]
PERPLEXITY = 30.0
FEWEST = 5  # cases that a t-SNE can be made of
COMPONENTS = 50  # what t-SNE is given: more are mostly noise, and cost time


class Place(NamedTuple):
    """Where the features are taken.

    Attributes:
        name: Of the module in the net.
        kind: What is taken there: ``input`` of the last linear layer, or ``pooled``, the mean over its positions.
    """

    name: str
    kind: Literal["input", "pooled"]

    def __str__(self) -> str:
        if self.kind == "input":
            return f"the input of the last linear layer, {self.name}"
        return f"the mean over the positions of {self.name or 'the output'}"


class Projection(NamedTuple):
    """A map of cases.

    Attributes:
        points: ``(n, dims)``, float64.
        method: How it was made, for a caption.
        explained: Share of the variance along each axis ``(dims,)``; NaN where axes have no such meaning.
        reason: Why another method than the one asked for was taken; "" where it was not.
    """

    points: Array
    method: str
    explained: Array
    reason: str = ""


class Neighbors(NamedTuple):
    """The nearest cases.

    Attributes:
        indices: Into the cases searched, nearest first ``(queries, n)``.
        distances: To each of them ``(queries, n)``.
    """

    indices: NDArray[np.int64]
    distances: Array


class Remoteness(NamedTuple):
    """How far cases lie from the training set.

    Attributes:
        distance: Mean distance to the nearest training cases ``(queries,)``.
        farther_than: Share of the training cases that lie nearer to the others than this ``(queries,)``.
    """

    distance: Array
    farther_than: Array


def embed(net: nn.Module, images: Tensor, place: Place | None = None) -> Tensor:
    """The features before the last layer, one row a case.

    Args:
        net: Images ``(B, C, *spatial)`` to logits, one for each case or for each voxel; left as it was.
        images: On the device of the net.
        place: Where to take them; what ``embedding_place`` finds where none is given.

    Returns:
        float32 ``(B, D)``, on the device of the net.

    Raises:
        ValueError: If the net has no layer that features can be taken from.
    """
    place = embedding_place(net, images[:1]) if place is None else place
    taken: list[Tensor] = []

    def take(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        taken[:] = [inputs[0] if place.kind == "input" else output.flatten(2).mean(2)]

    with undisturbed(net) as stack:
        stack.callback(net.get_submodule(place.name).register_forward_hook(take).remove)
        net(_plain(images))
    if not taken:
        raise ValueError(f"{place.name} took no part in the forward pass; let embedding_place find a layer")
    return taken[0].detach().float().clone()


def embedding_place(net: nn.Module, images: Tensor) -> Place:
    """Where the features of a net are taken: told by one forward pass.

    A net with one answer a case: the input of the last linear layer, if that makes the logits; else the mean of the
    last features that have positions. A net with an answer a voxel: the mean of its coarsest features.

    Args:
        net: Left as it was.
        images: ``(B, C, *spatial)``; one is enough.

    Raises:
        ValueError: If no layer fits.
    """
    linear: dict[str, tuple[int, ...]] = {}
    maps: dict[str, tuple[int, ...]] = {}

    def watch(name: str) -> Any:
        def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if isinstance(module, nn.Linear) and inputs[0].ndim == 2:
                linear.pop(name, None)
                linear[name] = tuple(output.shape)
            if isinstance(output, Tensor) and output.ndim == images.ndim:
                maps.pop(name, None)
                maps[name] = tuple(output.shape)

        return note

    with undisturbed(net) as stack:
        for name, module in net.named_modules():
            if module is not net:
                stack.callback(module.register_forward_hook(watch(name)).remove)
        logits = _first(net(_plain(images)))
    if logits.ndim == 2 and linear:
        name, shape = list(linear.items())[-1]
        if shape == tuple(logits.shape):
            return Place(name, "input")
    return Place(_features(maps, logits), "pooled")


def project(
    features: Array, method: Literal["pca", "tsne"] = "pca", dims: Literal[2, 3] = 2, seed: int = 0
) -> Projection:
    """A map of cases in two or three dimensions; the same features and seed give the same map.

    t-SNE starts from the principal components and keeps neighborhoods; its axes and the distances between groups have
    no meaning. Three dimensions are made by Barnes and Hut's tree, as interpolation works in two only.

    Args:
        features: ``(n, D)``, finite.
        method: ``pca`` or ``tsne`` (openTSNE, perplexity 30 or a third of the cases).
        dims: 2 or 3.
        seed: Of t-SNE.

    Raises:
        ValueError: If the features are not finite numbers ``(n, D)``.
    """
    features = _checked(features)
    parts, explained = _components(features, max(dims, COMPONENTS))
    by_variance = Projection(parts[:, :dims], "principal components", explained[:dims])
    if method == "pca":
        return by_variance
    if len(features) < FEWEST or not explained.any():
        reason = f"t-SNE needs {FEWEST} cases that differ; these are shown by their principal components"
        return by_variance._replace(reason=reason)
    from openTSNE import TSNE

    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    made = TSNE(
        n_components=dims,
        perplexity=perplexity,
        initialization="pca",
        neighbors="exact",
        negative_gradient_method="bh" if dims == 3 or len(features) < 10_000 else "fft",
        n_jobs=1,
        random_state=seed,
    ).fit(parts)
    method_in_words = f"t-SNE, perplexity {perplexity:.3g}, seed {seed}"
    return Projection(np.asarray(made, dtype=np.float64), method_in_words, np.full(dims, math.nan))


def nearest(features: Array, queries: Array, n: int = 5, metric: Metric = "cosine") -> Neighbors:
    """The cases of ``features`` that are nearest to each of ``queries``.

    Args:
        features: Of the cases to search, the training set ``(m, D)``.
        queries: ``(q, D)``.
        n: How many; fewer where there are fewer cases.
        metric: ``cosine`` leaves the length of the features aside; ``euclidean`` does not.

    Raises:
        ValueError: If the features are not finite numbers of one width.
    """
    from sklearn.neighbors import NearestNeighbors

    features, queries = _checked(features), _checked(queries)
    if features.shape[1] != queries.shape[1]:
        raise ValueError(f"features are {features.shape} and queries {queries.shape}: give both with as many columns")
    if not len(features) or not len(queries):
        return Neighbors(np.zeros((len(queries), 0), np.int64), np.zeros((len(queries), 0)))
    index = NearestNeighbors(n_neighbors=min(n, len(features)), metric=metric, algorithm="brute").fit(features)
    distances, indices = index.kneighbors(queries)
    return Neighbors(indices.astype(np.int64), distances.astype(np.float64))


def remoteness(features: Array, queries: Array, n: int = 5, metric: Metric = "cosine") -> Remoteness:
    """Distance to the training set, and how unusual it is among the training cases themselves.

    Args:
        features: Of the training cases ``(m, D)``.
        queries: Of other cases ``(q, D)``.
        n: Neighbors that the mean is taken over.
        metric: As in ``nearest``.

    Returns:
        NaN where there are fewer than two training cases.
    """
    if len(features) < 2:
        return Remoteness(np.full(len(queries), math.nan), np.full(len(queries), math.nan))
    n = min(n, len(features) - 1)
    # The nearest of a training case is itself, and is left out.
    usual = np.sort(nearest(features, features, n + 1, metric).distances[:, 1:].mean(axis=1))
    distance = nearest(features, queries, n, metric).distances.mean(axis=1)
    return Remoteness(distance, np.searchsorted(usual, distance) / len(usual))


def _components(features: Array, most: int) -> tuple[Array, Array]:
    """The first principal components ``(n, most or fewer)``, at least three columns, and the variance they hold."""
    from sklearn.decomposition import PCA

    count = min(most, *features.shape) if len(features) > 1 else 0
    parts, explained = np.zeros((len(features), 0)), np.zeros(0)
    if count and np.ptp(features, axis=0).any():
        pca = PCA(count, svd_solver="full").fit(features)
        parts, explained = pca.transform(features), pca.explained_variance_ratio_
    short = max(3 - len(explained), 0)
    return np.pad(parts, ((0, 0), (0, short))), np.pad(explained, (0, short))


def _features(maps: dict[str, tuple[int, ...]], logits: Tensor) -> str:
    """The last features of a classifier, the coarsest of a segmenter; not the votes for the classes."""
    places = {name: math.prod(shape[2:]) for name, shape in maps.items()}
    known = [name for name in maps if maps[name][1] != logits.shape[1]] or list(maps)
    wide = [name for name in known if places[name] > 1] or known
    if not wide:
        raise ValueError("the net has no layer with an output (B, C, *spatial) and none that is linear: no features")
    if logits.ndim == 2:
        return wide[-1]
    fewest = min(places[name] for name in wide)
    return [name for name in wide if places[name] == fewest][-1]


def _first(output: Any) -> Tensor:
    while not isinstance(output, Tensor):
        if not isinstance(output, list | tuple) or not output:
            raise ValueError(f"the net gives a {type(output).__name__}; expected logits")
        output = output[0]
    return output


def _plain(images: Tensor) -> Tensor:
    return images.detach().as_subclass(Tensor).clone()


def _checked(features: Any) -> Array:
    array = np.asarray(features, dtype=np.float64)
    if array.ndim != 2 or not np.isfinite(array).all():
        raise ValueError(f"features are {array.shape}: give finite numbers as (cases, features)")
    return array
