"""One best model a run, found again by every name it has, and loaded without a pickle."""

import shutil
from pathlib import Path

import mlflow
import pytest
import yaml
from tracking_fakes import stored_bytes, write_product

from medcnn.errors import TrackingError
from medcnn.tracking.logger import RunLogger
from medcnn.tracking.models import fetch, log_product


@pytest.fixture
def logged(workplace: Path) -> tuple[RunLogger, str]:
    logger = RunLogger("chest")
    model = log_product(logger, write_product(workplace / "DOE_JOHN" / "out"), register="chest_xray")
    shutil.rmtree(workplace / "DOE_JOHN")
    assert model is not None
    assert model.version == "1"
    return logger, model.model_id


def test_every_name_of_a_model_leads_to_the_product_that_was_logged(logged: tuple[RunLogger, str]) -> None:
    logger, model = logged
    names = [f"runs:/{logger.run_id}", "models:/chest_xray@champion", "models:/chest_xray/1", f"models:/{model}"]
    folders = {fetch(name) for name in names}
    assert len(folders) == 1
    assert (folders.pop() / "weights.safetensors").read_bytes() == bytes(range(100))


@pytest.mark.parametrize(("name", "why"), [
    ("runs:/nowhere", "nowhere"), ("models:/chest_xray@rookie", "rookie"), ("models:/chest_xray/9", "version"),
    ("models:/unheard@champion", "unheard"), ("models:/chest_xray", "expected models:/name@alias"),
    ("runs:/", "names no model"), ("models:/", "names no model"), ("models:/m-0", "m-0"),
])  # fmt: skip
def test_a_name_that_leads_nowhere_is_refused_in_one_line(logged: tuple[RunLogger, str], name: str, why: str) -> None:
    with pytest.raises(TrackingError, match=why) as caught:
        fetch(name)
    assert "\n" not in str(caught.value)


def test_a_run_without_a_model_says_that_its_training_did_not_end(workplace: Path) -> None:
    logger = RunLogger()
    with pytest.raises(TrackingError, match="did not end"):
        fetch(f"runs:/{logger.run_id}")


def test_a_run_that_logs_again_still_has_exactly_one_model_and_its_old_version_stays(
    logged: tuple[RunLogger, str], workplace: Path
) -> None:
    logger, first = logged
    second = log_product(logger, write_product(workplace / "again"), register="chest_xray")
    assert second is not None
    held = logger.experiment.search_logged_models([logger.experiment_id])
    assert [model.model_id for model in held] == [second.model_id]
    assert second.version == "2"
    assert fetch("models:/chest_xray@champion") == fetch(f"runs:/{logger.run_id}")
    assert first in str(fetch("models:/chest_xray/1"))


def test_the_artifact_names_no_place_and_pins_what_it_needs(logged: tuple[RunLogger, str], workplace: Path) -> None:
    for name, content in stored_bytes(workplace).items():
        assert b"DOE_JOHN" not in content, name
        assert str(workplace).encode() not in content, name
        assert b"/tmp" not in content, name
        assert not name.endswith((".pkl", ".pickle", ".pt"))
    folder = fetch("models:/chest_xray@champion").parents[1]
    assert (folder / "requirements.txt").read_text().startswith("medcnn==")
    described = yaml.safe_load((folder / "MLmodel").read_text())
    assert described["run_id"] == logged[0].run_id
    assert described["metadata"] == {"classes": ["normal", "pneumonia"], "multilabel": False}
    assert "[-1, 1, 8," in described["signature"]["inputs"]


def test_it_loads_with_pickle_disallowed(logged: tuple[RunLogger, str], monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np
    import torch

    import medcnn.tasks.checkpoint as checkpoint

    class Half:
        def build_task(self) -> "Half":
            return self

        def answer(self, images: torch.Tensor) -> torch.Tensor:
            return torch.full((len(images), 2), 0.5)

    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    monkeypatch.setattr(checkpoint, "open_product", lambda path: Half())
    model = mlflow.pyfunc.load_model(str(fetch("models:/chest_xray@champion").parents[1]))
    shares = model.predict(np.zeros((3, 1, 8, 8), dtype=np.float32))
    assert shares.shape == (3, 2)


def test_a_folder_that_holds_no_product_logs_no_model(workplace: Path) -> None:
    logger = RunLogger()
    (workplace / "empty").mkdir()
    with pytest.raises(TrackingError, match=r"no product\.json"):
        log_product(logger, workplace / "empty")
    assert not logger.experiment.search_logged_models([logger.experiment_id])
