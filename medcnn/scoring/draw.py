"""What draws the picture of a case: given by the verb, for rooms below it know no figures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from medcnn.io.volume import Volume

#: Draws a volume and its labels into a file; the caption tells flags.
Draw = Callable[[Path, Volume, np.ndarray, str], None]
PICTURES = "pictures"
