"""A script: judge and fit a cohort of balls on so many processes, and write what was logged."""

import json
import sys
from pathlib import Path

from point_cohort import quiet_trainer
from pytorch_lightning.strategies import DDPStrategy
from sphere_cohort import SphereCohort, made_segmentation


def main(out: Path, processes: int) -> None:
    strategy = DDPStrategy(process_group_backend="gloo") if processes > 1 else "auto"
    trainer = quiet_trainer(out.parent, devices=processes, strategy=strategy, max_epochs=1)
    # Five cases: one process sees three of them, the other two.
    task, data = made_segmentation(patch_size=[8, 8, 8]), SphereCohort()
    [validated] = trainer.validate(task, datamodule=data, verbose=False)
    table = {name: values.tolist() for name, values in task.evaluated["val"].items()}
    trainer.fit(task, datamodule=data)
    fitted = {name: float(value) for name, value in trainer.callback_metrics.items()}
    found = {"validated": validated, "table": table, "fitted": fitted}
    out.with_suffix(f".{trainer.global_rank}").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
