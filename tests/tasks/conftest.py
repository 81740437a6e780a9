"""What the tests of this room are given."""

from collections.abc import Callable
from pathlib import Path

import pytest
import pytorch_lightning as pl
from point_cohort import PointCohort, made_task, quiet_trainer

from medcnn.tasks.classification import ClassificationTask


@pytest.fixture
def cohort() -> Callable[..., PointCohort]:
    return PointCohort


@pytest.fixture
def task() -> Callable[..., ClassificationTask]:
    return made_task


@pytest.fixture
def trainer(tmp_path: Path) -> Callable[..., pl.Trainer]:
    return lambda **changes: quiet_trainer(tmp_path, **changes)
