"""What tests of figures look at: the words on one, and the picture that comes of it."""

import io
import warnings

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image


def words(figure: Figure) -> str:
    return " | ".join(text.get_text() for text in figure.findobj(Text)).replace("\n", " ")


def drawn(figure: Figure) -> np.ndarray:
    """The picture; a figure draws without a warning and leaves nothing cut off at its edges."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(buffer, format="png")
    pixels = np.asarray(Image.open(buffer).convert("RGB"))
    assert pixels.std() > 0
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 255).all(), "something is cut off"
    return pixels
