"""One attribute is found wherever its header keeps it."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medcnn.io.dicom_write import write_film
from medcnn.io.film import Film
from medcnn.io.read import read_film

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
WINDOW = {"WindowCenter": "2048", "WindowWidth": "2000"}
RESCALE = {"RescaleSlope": "1", "RescaleIntercept": "-1000"}
SPACING = {"PixelSpacing": [0.5, 0.5]}
GROUP = {"FrameVOILUTSequence": WINDOW, "PixelValueTransformationSequence": RESCALE, "PixelMeasuresSequence": SPACING}


def item(elements: dict[str, object]) -> Dataset:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def film(folder: Path, places: dict[str, str], root: dict[str, object] | None = None) -> Film:
    """Write a film whose groups are at the places given: ``root``, ``shared`` or ``own``."""
    at: dict[str, dict[str, object]] = {"root": dict(root or {}), "shared": {}, "own": {}}
    for group, place in places.items():
        at[place].update(GROUP[group] if place == "root" else {group: Sequence([item(GROUP[group])])})
    groups = {
        "SharedFunctionalGroupsSequence": Sequence([item(at["shared"])]),
        "PerFrameFunctionalGroupsSequence": Sequence([item(at["own"])]),
    }
    write_film(folder / "a.dcm", RAMP, spacing_mm=None, NumberOfFrames=1, **at["root"], **groups)
    return read_film(folder / "a.dcm")


@pytest.mark.parametrize("places", product(["root", "shared", "own"], repeat=3))
def test_the_picture_is_the_same_wherever_a_group_is(tmp_path: Path, places: tuple[str, ...]) -> None:
    expected = film(tmp_path, dict.fromkeys(GROUP, "root"))
    found = film(tmp_path, dict(zip(GROUP, places, strict=True)))
    assert np.array_equal(found.pixels, expected.pixels)
    assert found.affine.tolist() == expected.affine.tolist() == np.diag([0.5, 0.5, 1, 1]).tolist()
    assert found.flags == expected.flags == ()
    # By hand: after the rescale value v shows (v - 1000 - 2047.5) / 1999 + 0.5 of the range.
    assert found.pixels[47, 40] == pytest.approx(65534 * ((3048 - 3047.5) / 1999 + 0.5), abs=1)


def test_the_groups_of_the_frame_win_over_the_root(tmp_path: Path) -> None:
    expected = film(tmp_path, {"FrameVOILUTSequence": "root"})
    other = film(tmp_path, {"FrameVOILUTSequence": "own"}, {"WindowCenter": "100", "WindowWidth": "7"})
    assert np.array_equal(other.pixels, expected.pixels)
    assert other.flags == ("attributes_contradict", "no_spacing")


def test_a_lookup_table_and_a_detector_spacing_are_found_in_groups(tmp_path: Path) -> None:
    table = item({"LUTDescriptor": [4096, 0, 16], "LUTData": np.arange(65535, 61439, -1).astype("<u2").tobytes()})
    shared = item(
        {
            "FrameVOILUTSequence": Sequence([item({"VOILUTSequence": Sequence([table])})]),
            "FramePixelDataPropertiesSequence": Sequence([item({"ImagerPixelSpacing": [0.3, 0.3]})]),
        }
    )
    groups = {"SharedFunctionalGroupsSequence": Sequence([shared]), "NumberOfFrames": 1}
    write_film(tmp_path / "a.dcm", RAMP, spacing_mm=None, **groups)
    found = read_film(tmp_path / "a.dcm")
    assert np.array_equal(found.pixels, 65535 - RAMP)
    assert np.diag(found.affine)[:2].tolist() == [0.3, 0.3]
