"""One image in three dimensions, and where it lies in the patient."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from monai.data.meta_tensor import MetaTensor


@dataclass(frozen=True, eq=False)
class Volume:
    """A 3-D image and the place of its voxels in the patient.

    Attributes:
        voxels: 3-D, C-contiguous; uint8, int16, uint16 or int32 where values are whole, else float32. The modality
            rescale, or the scale of a NIfTI header, is applied.
        affine: ``(4, 4)`` float64 from (index 0, index 1, index 2, 1) to mm, RAS+: x to the patient's right grows to
            the right, y to the front, z to the head. DICOM gives (slices, rows, columns), NIfTI its own order.
        modality: DICOM modality, empty outside DICOM.
        study: Study instance UID, empty outside DICOM.
        series: Series instance UID, empty outside DICOM.
        frame_of_reference: Frame of reference UID, empty outside DICOM.
        flags: What a reader should know: ``inverted``, ``localizer``, ``lossy``, ``non_finite``, ``no_orientation``,
            ``one_slice``, ``padding``, ``precision_lost``, ``qform_sform_disagree``, ``rescale_differs``, ``sheared``,
            ``spacing_disagrees``, ``burned_in``, ``damaged_neighbor``, ``fewer_slices``, ``implausible_spacing``,
            ``repeated_uid``, ``rounded_geometry``.
        sources: The files, one a slice in slice order; one for a multi-frame file or NIfTI. Names may tell patients:
            they stay on this machine.
        frames: Frame of its file for each slice, from 0; empty outside multi-frame DICOM.
    """

    voxels: np.ndarray
    affine: np.ndarray
    modality: str = ""
    study: str = ""
    series: str = ""
    frame_of_reference: str = ""
    flags: tuple[str, ...] = ()
    sources: tuple[Path, ...] = field(default=(), repr=False)
    frames: tuple[int, ...] = field(default=(), repr=False)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighboring voxels along each index."""
        return spacing_of(self.affine)


def spacing_of(affine: np.ndarray) -> tuple[float, float, float]:
    """Length in mm of one step along each index."""
    first, second, third = np.linalg.norm(affine[:3, :3], axis=0).tolist()
    return first, second, third


def volume_as_image(volume: Volume) -> MetaTensor:
    """The volume as a MetaTensor ``(1, *spatial)`` with its affine, in a dtype that holds its values exactly.

    uint8, int16, int32 and float32 share memory with the volume; uint16 becomes int32.
    """
    # MONAI takes seconds to import and decoding workers do not need it.
    import torch
    from monai.data.meta_tensor import MetaTensor

    voxels = volume.voxels.astype(np.int32) if volume.voxels.dtype == np.uint16 else volume.voxels
    return MetaTensor(torch.from_numpy(np.ascontiguousarray(voxels)[None]), affine=torch.from_numpy(volume.affine))
