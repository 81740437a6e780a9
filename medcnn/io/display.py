"""From stored values to what a viewer shows: modality, VOI and photometric interpretation."""

from typing import NamedTuple

import numpy as np
from pydicom.dataset import Dataset

from medcnn.errors import ReadError
from medcnn.io.header import numbers, text
from medcnn.io.lut import lookup_table

# A window spreads over 0 to 65534: around a whole middle, turning the gray scale is exact.
_WINDOW_HIGH = 65534
_TABLE_BITS = 16
_ROWS_AT_ONCE = 16


class _Scale(NamedTuple):
    """Values on their way to the screen and the range they could take, which turning them mirrors."""

    values: np.ndarray
    low: float
    high: float


def shown(
    stored: np.ndarray, header: Dataset, bits: int, signed: bool, padding: np.ndarray | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Pixels as displayed: brighter means more signal, whatever the photometric interpretation.

    Args:
        stored: Stored values ``(rows, columns)``, free to be overwritten.
        header: The elements that say how they are shown.
        bits: Bits stored.
        signed: Whether stored values are two's complement.
        padding: Where the image is padding, ``(rows, columns)``.

    Returns:
        ``(rows, columns)``: the output of the VOI lookup table, 0 to 65534 for a window, and modality values where
        there is neither; then flags.

    Raises:
        ReadError: ``bad_header`` if a lookup table is damaged.
    """
    low = -(1 << (bits - 1)) if signed else 0
    high = low + (1 << bits) - 1
    window, flags = _window(header)
    if _rescale_is_ignored(header):
        flags = (*flags, "rescale_ignored")
    if window is None and not _changes_values(header):
        pixels = _narrowed(turned(stored, high, signed) if _is_inverted(header) else stored, low, high)
    elif bits <= _TABLE_BITS:
        table = _mapped(np.arange(low, high + 1), low, high, header, window)
        pixels = _looked_up(table, stored, low)
    else:
        pixels = _mapped(stored, low, high, header, window)
    if padding is not None:
        pixels, flags = _with_dark_padding(pixels, padding), (*flags, "padding")
    return pixels, flags


def _is_inverted(header: Dataset) -> bool:
    # INVERSE repeats what MONOCHROME1 says: it turns once, never twice.
    named = text(header, "PhotometricInterpretation").upper(), text(header, "PresentationLUTShape").upper()
    return "MONOCHROME1" in named or "INVERSE" in named


def _changes_values(header: Dataset) -> bool:
    if header.get("ModalityLUTSequence") or header.get("VOILUTSequence"):
        return True
    return _rescale(header) != (1.0, 0.0)


def _rescale(header: Dataset) -> tuple[float, float]:
    slope, intercept = numbers(header, "RescaleSlope"), numbers(header, "RescaleIntercept")
    if len(slope) > 1 or len(intercept) > 1:
        raise ReadError("bad_header", "expected one rescale slope and intercept; correct the header")
    # A slope of zero would blank the film; writers that know none leave it zero.
    return (slope[0] if slope and slope[0] else 1.0), (intercept[0] if intercept else 0.0)


def _rescale_is_ignored(header: Dataset) -> bool:
    return not header.get("ModalityLUTSequence") and numbers(header, "RescaleSlope")[:1] == [0.0]


def _window(header: Dataset) -> tuple[tuple[float, float, str] | None, tuple[str, ...]]:
    """The first window (center, width, function), or None and the flag that it could not be used."""
    if header.get("VOILUTSequence"):
        return None, ()
    centers, widths = numbers(header, "WindowCenter"), numbers(header, "WindowWidth")
    if not centers and not widths:
        return None, ()
    function = text(header, "VOILUTFunction").upper() or "LINEAR"
    least = 1.0 if function == "LINEAR" else 1e-9
    if not centers or not widths or widths[0] < least or function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        return None, ("voi_ignored",)
    return (centers[0], widths[0], function), ()


def _mapped(
    stored: np.ndarray, low: int, high: int, header: Dataset, window: tuple[float, float, str] | None
) -> np.ndarray:
    """Every step of the display for an array of stored values."""
    inverted = _is_inverted(header)
    # Turned before a rescale rather than after it, so that no rounding tells a film from its negative.
    linear = window is None and not header.get("ModalityLUTSequence") and not header.get("VOILUTSequence")
    facing = low + high - stored if inverted and linear else stored
    scale = _voi(_modality(_Scale(facing, low, high), header), header, window)
    values = scale.low + scale.high - scale.values if inverted and not linear else scale.values
    return _narrowed(values, min(scale.low, float(values.min())), max(scale.high, float(values.max())))


def _modality(scale: _Scale, header: Dataset) -> _Scale:
    if header.get("ModalityLUTSequence"):
        return _looked_up_scale(scale, header.ModalityLUTSequence[0], header)
    slope, intercept = _rescale(header)
    ends = sorted((scale.low * slope + intercept, scale.high * slope + intercept))
    return _Scale(scale.values * slope + intercept, ends[0], ends[1])


def _voi(scale: _Scale, header: Dataset, window: tuple[float, float, str] | None) -> _Scale:
    if header.get("VOILUTSequence"):
        return _looked_up_scale(scale, header.VOILUTSequence[0], header)
    return scale if window is None else _Scale(_windowed(scale.values, *window), 0, _WINDOW_HIGH)


def _looked_up_scale(scale: _Scale, item: Dataset, header: Dataset) -> _Scale:
    table = lookup_table(item, scale.low < 0, header.original_encoding[1])
    return _Scale(table.of(scale.values), 0, table.high)


def _windowed(values: np.ndarray, center: float, width: float, function: str) -> np.ndarray:
    """Whole numbers from 0 to 65534. Odd about the middle, so a mirrored film comes out mirrored to the bit."""
    if function == "SIGMOID":
        share = np.tanh(2 * (values - center) / width) / 2
    elif function == "LINEAR_EXACT":
        share = (values - center) / width
    elif width == 1:
        share = np.where(values <= center - 0.5, -0.5, 0.5)
    else:
        share = (values - (center - 0.5)) / (width - 1)
    return _WINDOW_HIGH // 2 + np.rint(_WINDOW_HIGH * np.clip(share, -0.5, 0.5))


def turned(stored: np.ndarray, high: int, signed: bool) -> np.ndarray:
    """Stored values mirrored in the range that their bits span, of which ``high`` is the highest. In place."""
    if signed:
        return np.invert(stored, out=stored)  # -1 - v mirrors a two's complement range
    return np.subtract(stored.dtype.type(high), stored, out=stored)


def _narrowed(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """The narrowest of uint8, int16, uint16 and int32 that holds whole values from low to high, else float32."""
    if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
        return values.astype(np.float32)
    for dtype in (np.uint8, np.int16, np.uint16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            same_width = values.dtype.kind in "iu" and values.dtype.itemsize == np.dtype(dtype).itemsize
            return values.view(dtype) if same_width else values.astype(dtype)
    return values.astype(np.float32)


def _looked_up(table: np.ndarray, stored: np.ndarray, low: int) -> np.ndarray:
    """``table[stored - low]``, some rows at a time: numpy widens indices to 64 bits, which then stay in the cache."""
    pixels = np.empty(stored.shape, table.dtype)
    index = np.empty((min(_ROWS_AT_ONCE, len(stored)), stored.shape[1]), np.intp)
    for start in range(0, len(stored), _ROWS_AT_ONCE):
        part = stored[start : start + _ROWS_AT_ONCE]
        place = index[: len(part)]
        place[...] = part
        if low:
            place -= low
        np.take(table, place, out=pixels[start : start + len(part)], mode="clip")
    return pixels


def _with_dark_padding(pixels: np.ndarray, padding: np.ndarray) -> np.ndarray:
    """Padding as dark as the darkest of the film: it is no signal, and a turned film would make it the brightest."""
    pixels[padding] = pixels[~padding].min()
    return pixels
