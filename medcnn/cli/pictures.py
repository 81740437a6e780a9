"""The picture of a volume and its labels, for verbs over folders of volumes."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from medcnn.io.volume import Volume
    from medcnn.scoring.draw import Draw


def drawn_with(classes: tuple[str, ...]) -> "Draw":
    """What draws three planes with an outline around each class."""
    from medcnn.report.figures.outline import outline_figure, save_outline

    def draw(path: Path, volume: "Volume", labels: "np.ndarray", caption: str) -> None:
        save_outline(path, outline_figure(volume.voxels, labels, volume.affine, classes, caption))

    return draw
