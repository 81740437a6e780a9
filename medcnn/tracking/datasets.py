"""The data of a run as MLflow's dataset entries: a digest and counts for each split, no path, no name."""

import json
from typing import Any

import medcnn.tracking.environment  # noqa: F401  # isort: skip
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT
from mlflow.utils.validation import MAX_DATASET_DIGEST_SIZE

from medcnn.tracking.logger import RunLogger
from medcnn.tracking.scrub import scrub

CONTEXTS = {"train": "training", "val": "validation", "test": "testing"}


def log_datasets(logger: RunLogger, datamodule: Any) -> None:
    """Log one entry a split, what the data module says of itself as ``data.json``, and its digest as a tag."""
    described = scrub(datamodule.describe())
    digest, name = str(described.get("digest", "")), type(datamodule).__name__
    entries = [
        _entry(f"{name}/{split}", digest, split, counts) for split, counts in described.get("splits", {}).items()
    ]
    logger.experiment.log_inputs(logger.run_id, datasets=entries)
    logger.experiment.log_dict(logger.run_id, described, "data.json")
    logger.log_tags({"data.digest": digest, "data.on_leak": described.get("on_leak", "")})


def _entry(name: str, digest: str, split: str, counts: Any) -> DatasetInput:
    # MLflow keeps 36 characters of a digest, and one entry a name and digest: the split belongs to the name.
    dataset = Dataset(
        name=name,
        digest=digest[:MAX_DATASET_DIGEST_SIZE],
        source_type="medcnn",
        source=json.dumps({"digest": digest, "split": split}),
        profile=json.dumps(counts),
    )
    return DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, CONTEXTS.get(split, split))])
