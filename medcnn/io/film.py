"""One decoded image as it would be displayed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from monai.data.meta_tensor import MetaTensor


@dataclass(frozen=True, eq=False)
class Film:
    """A decoded 2-D image as displayed: brighter means more signal.

    Attributes:
        pixels: ``(rows, columns)``; uint8, int16, uint16 or int32 where values are whole, else float32.
        affine: ``(4, 4)`` float64 from (row, column, 0) to mm. Spacing only: a projection has no place in the patient.
        study: Study instance UID, empty outside DICOM.
        series: Series instance UID, empty outside DICOM.
        sop: SOP instance UID, empty outside DICOM.
        modality: DICOM modality, empty outside DICOM.
        flags: What a reader should know: ``alpha``, ``attributes_contradict`` (root and functional groups differ),
            ``burned_in``, ``color``, ``color_contradicted`` (the encoded image has another color space than the
            header), ``extra_pixel_bytes``, ``for_processing``, ``lossy``, ``no_spacing``, ``non_square_pixels``
            (resampled to square ones), ``padding``, ``pixels_not_encoded`` and ``pixels_not_subsampled`` (against the
            header), ``rescale_ignored`` (a slope of zero), ``spacing_ignored`` (not two positive numbers),
            ``voi_ignored`` (a window that is none).
    """

    pixels: np.ndarray
    affine: np.ndarray = field(default_factory=lambda: np.eye(4))
    study: str = ""
    series: str = ""
    sop: str = ""
    modality: str = ""
    flags: tuple[str, ...] = ()


def as_image(film: Film) -> MetaTensor:
    """The film as a MetaTensor ``(1, rows, columns)`` whose dtype holds its values exactly.

    uint8, int16, int32 and float32 share memory with the film; uint16 becomes int32.
    """
    # MONAI takes seconds to import and decoding workers do not need it.
    import torch
    from monai.data.meta_tensor import MetaTensor

    pixels = film.pixels.astype(np.int32) if film.pixels.dtype == np.uint16 else film.pixels
    return MetaTensor(torch.from_numpy(np.ascontiguousarray(pixels)[None]), affine=torch.from_numpy(film.affine))
