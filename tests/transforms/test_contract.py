"""What every transform of the package keeps, found by walking it: a new one is held to this without a line here."""

import importlib
import inspect
import json
import pkgutil
import typing
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser
from monai.data import MetaTensor
from monai.transforms import MapTransform

import medcnn.transforms

# A value for an argument that has no default, by its name; all other arguments stay at their defaults.
REQUIRED: dict[str, Any] = {
    "keys": ["image"],
    "radius": 1.5,
    "center": 3.0,
    "width": 6.0,
    "value": 1.0,
    "percent": 60.0,
    "spatial_size": 30,
}
# A mark is no head: where it lies is asked of a stripper that takes nothing away.
CHOSEN: dict[str, dict[str, Any]] = {"SkullStripped": {"apply": False}}
VOLUMES_ALONE = {"SkullStripped"}
PLAIN = {str, int, float, bool, type(None)}
MARK = {2: (9, 14), 3: (6, 9, 7)}
SHAPE = {2: (20, 33), 3: (15, 20, 17)}


def transforms() -> Iterator[type[MapTransform]]:
    for module in pkgutil.iter_modules(medcnn.transforms.__path__, "medcnn.transforms."):
        for name, found in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            own = found.__module__ == module.name and issubclass(found, MapTransform)
            if own and not name.startswith("_") and not inspect.isabstract(found):
                yield found


TRANSFORMS = sorted(transforms(), key=lambda found: found.__name__)
# What changes the grid has an affine of its own, which its own test holds to the corners of the image.
ON_THE_SAME_GRID = [found for found in TRANSFORMS if found.__name__ != "AreaResized"]
every_transform = pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda found: found.__name__)
every_dimension = pytest.mark.parametrize("dimension", [2, 3])


def arguments_of(transform: type[MapTransform]) -> dict[str, Any]:
    parameters = inspect.signature(transform).parameters
    needed = [name for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty]
    return {name: REQUIRED[name] for name in needed}


def marked(dimension: int, affine: torch.Tensor) -> MetaTensor:
    """One bright voxel in the middle of a symmetric lump, on an oblique and unequal grid."""
    image = torch.zeros((1, *SHAPE[dimension]))
    image[(0, *(slice(i - 2, i + 3) for i in MARK[dimension]))] = 2
    image[(0, *MARK[dimension])] = 5
    return MetaTensor(image, affine=affine)


def position_of_the_mark(image: MetaTensor) -> np.ndarray:
    """The center of gravity of what stands out from the background, in mm."""
    values = image.numpy().astype(np.float64)
    above = np.abs(values[0] - values.reshape(-1)[0])
    index = [np.average(grid, weights=above) for grid in np.indices(above.shape)]
    return image.affine.numpy() @ [*index, *[0] * (3 - len(index)), 1]


def run(transform: type[MapTransform], image: MetaTensor, **chosen: Any) -> MetaTensor:
    if image.ndim == 3 and transform.__name__ in VOLUMES_ALONE:
        pytest.skip("needs a volume")
    return transform(**arguments_of(transform), **chosen)({"image": image, "case": 3})["image"]


def test_the_walk_finds_the_transforms() -> None:
    assert {"PercentileNormalized", "Opened", "LargestComponent", "GaussianFiltered"} <= {
        t.__name__ for t in TRANSFORMS
    }


@every_transform
@every_dimension
def test_a_marked_voxel_keeps_its_place_in_the_patient(
    transform: type[MapTransform], dimension: int, oblique_affine: torch.Tensor
) -> None:
    expected = oblique_affine.numpy() @ [*MARK[dimension], *[0] * (3 - dimension), 1]
    found = position_of_the_mark(
        run(transform, marked(dimension, oblique_affine), **CHOSEN.get(transform.__name__, {}))
    )
    # A resized image knows a place to a part of its pixel; the grid here is as fine as the old one or finer.
    assert np.allclose(found, expected, atol=0.01 if transform in ON_THE_SAME_GRID else 0.5)


@pytest.mark.parametrize("transform", ON_THE_SAME_GRID, ids=lambda found: found.__name__)
@every_dimension
def test_the_affine_stays_and_the_result_is_contiguous(
    transform: type[MapTransform], dimension: int, oblique_affine: torch.Tensor
) -> None:
    result = run(transform, marked(dimension, oblique_affine))
    assert isinstance(result, MetaTensor)
    assert torch.equal(result.affine, oblique_affine)
    assert result.is_contiguous()
    assert result.dtype in {torch.float32, torch.bool, torch.uint8, torch.int32}


@every_transform
@every_dimension
def test_inputs_are_untouched_and_shared_with_no_result(
    transform: type[MapTransform], dimension: int, oblique_affine: torch.Tensor
) -> None:
    image = marked(dimension, oblique_affine)
    case = {"image": image, "case": 3, "flags": ["lossy"]}
    before = image.clone()
    if dimension == 2 and transform.__name__ in VOLUMES_ALONE:
        pytest.skip("needs a volume")
    result = transform(**arguments_of(transform))(case)
    result["image"].as_tensor().zero_()
    assert set(case) == {"image", "case", "flags"}
    assert case["image"] is image
    assert case["flags"] == ["lossy"]
    assert torch.equal(image, before)
    assert result["case"] == 3


@every_transform
def test_the_same_image_gives_the_same_result(transform: type[MapTransform], oblique_affine: torch.Tensor) -> None:
    image = marked(3, oblique_affine)
    assert torch.equal(run(transform, image), run(transform, image))


@every_transform
def test_arguments_are_plain_and_annotated(transform: type[MapTransform]) -> None:
    hints = typing.get_type_hints(transform.__init__)
    for name in inspect.signature(transform).parameters:
        assert set(leaves(hints[name])) <= PLAIN, f"{name}: {hints[name]}"


def leaves(annotation: Any) -> Iterator[type]:
    """The plain types an annotation is made of."""
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        yield from (type(value) for value in typing.get_args(annotation))
    elif origin is None:
        yield annotation
    else:
        assert origin in {typing.Union, type(int | str), Sequence, list, tuple}, origin
        for inner in typing.get_args(annotation):
            yield from leaves(inner)


@every_transform
def test_a_configuration_rebuilds_the_transform(transform: type[MapTransform], oblique_affine: torch.Tensor) -> None:
    spec = {"class_path": f"{transform.__module__}.{transform.__name__}", "init_args": arguments_of(transform)}
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--step", type=MapTransform)
    parsed = parser.parse_object({"step": json.loads(json.dumps(spec))})
    written = json.loads(parser.dump(parsed, format="json"))["step"]
    rebuilt = transform(**written["init_args"])
    image = marked(3, oblique_affine)
    assert written["class_path"] == spec["class_path"]
    assert torch.equal(rebuilt({"image": image})["image"], run(transform, image))
