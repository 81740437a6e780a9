"""What a user may call a model: a file, a folder, ``runs:/ID`` or ``models:/name@alias``."""

from pathlib import Path

from medcnn.errors import CheckpointError


def resolve_model(name: str, resume: bool = False) -> Path:
    """The file or folder that a model's name stands for.

    Args:
        name: A checkpoint, a model folder, ``runs:/ID`` or ``models:/name@alias``.
        resume: Whether training goes on from it, which needs the optimizer's state: for a run that is the last
            checkpoint on this machine, not the model that was logged.

    Raises:
        CheckpointError: If there is no such file, or a run's checkpoints are not on this machine.
        TrackingError: If the store does not know the run or the model.
    """
    if name.startswith(("runs:/", "models:/")):
        from medcnn.tracking.models import fetch

        if not resume:
            return fetch(name)
        last = Path("checkpoints", name.removeprefix("runs:/").split("/")[0], "last.ckpt")
        if name.startswith("models:/") or not last.is_file():
            raise CheckpointError(
                f"{name} can be scored and tested, but training goes on only from a checkpoint file with the "
                f"optimizer's state, and {last} is not here: give that file to --ckpt_path"
            )
        return last
    path = Path(name)
    if not path.exists():
        raise CheckpointError(f"there is no model at {name}: give a checkpoint, runs:/ID or models:/name@alias")
    if resume and path.is_dir():
        raise CheckpointError(
            f"{name} is a model folder without the optimizer's state: give a .ckpt file to go on from"
        )
    return path
