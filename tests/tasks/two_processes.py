"""A script: fit and test cohorts of points on so many processes, and write what was logged."""

import json
import sys
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from point_cohort import PointCohort, made_task, quiet_trainer
from pytorch_lightning.strategies import DDPStrategy

FINDINGS = {
    "class_path": "medcnn.losses.weighted_binary_cross_entropy.WeightedBinaryCrossEntropy",
    "init_args": {"pos_weight": "balanced"},
}


def record(trainer: pl.Trainer, multilabel: bool) -> dict[str, Any]:
    """Figures of an untrained model, and those that every process holds after an epoch."""
    # An odd number of cases, of which some are unknown: ranks see different numbers of them.
    data = PointCohort(multilabel=multilabel, cases=31, size=4, unknown=2)
    task = made_task(**({"loss": FINDINGS, "multilabel": True} if multilabel else {}))
    [validated] = trainer.validate(task, datamodule=data, verbose=False)
    [tested] = trainer.test(task, datamodule=data, verbose=False)
    cases = task.evaluated["test"]["cases"].tolist()
    trainer.fit_loop.epoch_progress.reset()
    trainer.fit(task, datamodule=data)
    fitted = {name: float(value) for name, value in trainer.callback_metrics.items()}
    return {"validated": validated, "tested": tested, "cases": cases, "fitted": fitted}


def main(out: Path, processes: int) -> None:
    strategy = DDPStrategy(process_group_backend="gloo") if processes > 1 else "auto"
    trainer = quiet_trainer(out.parent, devices=processes, strategy=strategy, max_epochs=1)
    found = {kind: record(trainer, kind == "findings") for kind in ("classes", "findings")}
    out.with_suffix(f".{trainer.global_rank}").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
