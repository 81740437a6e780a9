"""A pipeline written in Python is stored as plain data, or not at all."""

import pytest
from monai.transforms import Resized

from medcnn.data.spec import described, spec_of, specs_of
from medcnn.transforms.intensity import PercentileNormalized


def test_a_described_transform_tells_how_to_build_it() -> None:
    made = described(Resized, keys=["image"], spatial_size=(8, 9))
    assert spec_of(made) == {
        "class_path": "monai.transforms.spatial.dictionary.Resized",
        "init_args": {"keys": ["image"], "spatial_size": [8, 9]},
    }


def test_a_transform_of_our_own_need_not_be_described() -> None:
    spec = spec_of(PercentileNormalized(keys=["image"], lower=1.0))
    assert spec is not None
    assert spec["class_path"] == "medcnn.transforms.intensity.PercentileNormalized"
    assert spec["init_args"]["lower"] == 1.0


def test_a_foreign_transform_that_was_not_described_is_named() -> None:
    specs, silent = specs_of([described(Resized, keys=["image"], spatial_size=[8, 8]), Resized("image", [8, 8])])
    assert (len(specs), silent) == (1, ["Resized"])


def test_an_argument_that_is_no_plain_data_is_refused() -> None:
    with pytest.raises(ValueError, match="expected plain data, found object"):
        described(Resized, keys=["image"], spatial_size=[8, 8], mode=object())
