"""Phantom chests: seeded, in memory or as DICOM files with what real folders hold."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medcnn.data.phantom import PhantomDataModule, make_phantom_cohort, phantom_films
from medcnn.data.xray import ChestXrayDataModule
from medcnn.errors import ReadError
from medcnn.io.identity import patient_in_dicom
from medcnn.io.read import read_film


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_phantom_cohort(tmp_path_factory.mktemp("cohort"), patients=60, size=32).parent


def test_the_same_seed_draws_the_same_films_and_values_stay_in_range() -> None:
    (table, films), (_, again) = (phantom_films(6, 32, 4) for _ in range(2))
    assert np.array_equal(films, again)
    assert not np.array_equal(films, phantom_films(6, 32, 5)[1])
    assert np.isfinite(films).all()
    assert films.min() >= 0
    assert films.max() <= 1
    assert table.groupby("patient")["label"].nunique().max() == 1


def test_lungs_are_darker_than_heart_and_air_is_darkest() -> None:
    mean = phantom_films(40, 64, 0)[1].mean(axis=0)
    lung, heart, air = mean[26:32, 17:22].mean(), mean[36:42, 33:38].mean(), mean[:4, :4].mean()
    assert air < lung < heart


def test_in_memory_no_patient_stands_on_two_sides() -> None:
    data = PhantomDataModule(patients=20, size=16)
    data.setup()
    assert data.cases.groupby("patient")["split"].nunique().max() == 1
    assert len(data.cases) > data.cases["patient"].nunique()


def test_a_stored_film_is_displayed_as_it_was_drawn_whatever_its_depth_and_photometry(cohort: Path) -> None:
    table, films = phantom_films(60, 32, 0)
    seen = set()
    for row, film in zip(table.to_dict("records")[:12], films[:12], strict=True):
        (path,) = cohort.glob(f"*/PHANTOM-{row['patient']:04d}/film{row['film']}.dcm")
        try:
            pixels = read_film(path).pixels.astype(float)
        except ReadError:
            continue
        bits = 16 if (row["patient"] + row["film"]) % 2 else 12
        seen.add((bits, (row["patient"] + row["film"]) % 3 == 0))
        assert np.allclose(
            pixels - pixels.min(), np.rint(film * (2**bits - 1)) - np.rint(film.min() * (2**bits - 1)), atol=1
        )
    assert len(seen) == 4


def test_the_manifest_splits_by_patient_and_the_incoming_folder_holds_others(cohort: Path) -> None:
    manifest, incoming = pd.read_csv(cohort / "manifest.csv"), pd.read_csv(cohort / "incoming_truth.csv")
    assert manifest.groupby("patient")["split"].nunique().max() == 1
    assert set(manifest["split"]) == {"train", "val", "test"}
    assert not set(manifest["patient"]) & set(incoming["patient"])
    assert all((cohort / path).is_file() for path in [*manifest["path"], *incoming["path"]])
    for _, part in manifest.groupby("split"):
        assert part["label"].nunique() == 2


def test_headers_name_people_who_do_not_exist(cohort: Path) -> None:
    path = pd.read_csv(cohort / "manifest.csv")["path"][0]
    assert "PHANTOM-" in str(patient_in_dicom(cohort / path))
    assert b"PHANTOM^NUMBER" in (cohort / path).read_bytes()


def test_each_damaged_file_is_refused_for_its_own_reason(cohort: Path) -> None:
    reasons = {}
    for name in ("truncated", "no_pixels", "notes", "empty", "two_frames"):
        with pytest.raises(ReadError) as raised:
            read_film(cohort / "incoming" / f"{name}.dcm")
        reasons[name] = raised.value.code
    assert reasons == {
        "truncated": "truncated",
        "no_pixels": "no_pixels",
        "notes": "not_an_image",
        "empty": "empty",
        "two_frames": "multiframe",
    }


def test_the_cohort_can_be_trained_on_and_its_damaged_film_is_counted(cohort: Path) -> None:
    data = ChestXrayDataModule(cohort / "manifest.csv", workers=0)
    data.setup()
    told = data.describe()
    assert data.classes == ("normal", "opacity")
    assert told["excluded"] == {"truncated": 1}
    assert told["proof"]["patients_shared"] == 0
    assert "PHANTOM" not in str(told) + data.cases.to_csv()
