"""Why a file has no finding, and whether that is a shortfall or merely a foreign file."""

import re

from medcnn.io.find import REASONS

#: Every reason code that a ledger can hold, with its meaning: those of reading, and those of scoring.
ALL_REASONS: dict[str, str] = {
    **REASONS,
    "prepare_failed": "the steps before the net could not handle the image",
    "wrong_shape": "after those steps the image has another shape than the model was trained on",
    "not_finite": "the image or its probabilities are not numbers",
    "same_name": "the mask of another volume would have the same name",
    "not_segmented": "the net could not take the prepared volume",
    "skullstrip_failed": "the mask of the brain did not pass its own checks",
    "not_written": "the mask could not be written, or the series cannot carry one",
}

#: Reasons that may have passed by the next start: the machine's state rather than the file's.
TRANSIENT = frozenset(("decoder_crashed", "timeout", "out_of_memory", "unreadable", "not_written"))

_IMAGE_SUFFIXES = frozenset(
    (
        ".dcm",
        ".dicom",
        ".dic",
        ".ima",
        ".png",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".tif",
        ".tiff",
        ".jp2",
        ".j2k",
        ".bmp",
        ".nii",
        ".nii.gz",
    )
)


#: Known for what they are: a report, a plan, the index of a disk; a way to other folders; the same image again; what
#: a scanner makes besides the images.
_SKIPPED = frozenset(("unsupported_object", "link_outside", "copy", "localizer", "screenshot", "archive", "convert"))
#: Skipped files that hold images all the same: where nothing else was there, nothing was done.
UNREAD_IMAGES = frozenset(("archive", "convert"))


def state_of(name: str, reason: str) -> str:
    """``failed`` for a file that is or claims to be an image and has no finding, ``skipped`` for any other.

    A film that was lost must show in the exit code; a README beside the films must not. What a file is, is told by
    its first bytes; where they say nothing, by its suffix: an image's suffix is a claim, and so is none at all on an
    empty file, since scanners name their files ``IM000001`` or by UID.
    """
    if reason in _SKIPPED:
        return "skipped"
    if reason not in ("not_an_image", "empty"):
        return "failed"
    suffix = _suffix(name)
    claims = suffix in _IMAGE_SUFFIXES or (reason == "empty" and (not suffix or suffix[1:].isdigit()))
    return "failed" if claims else "skipped"


def _suffix(name: str) -> str:
    match = re.search(r"\.nii\.gz$|\.[^./]*$", name.lower())
    return match[0] if match else ""
