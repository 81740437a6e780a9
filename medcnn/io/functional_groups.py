"""Attributes of a frame, wherever its header keeps them: in functional groups, own or shared, or at the root."""

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

#: Functional group -> the elements in it that a header without groups has at its root.
GROUPS: dict[str, tuple[str, ...]] = {
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
    "PixelMeasuresSequence": ("PixelSpacing",),
    "FramePixelDataPropertiesSequence": ("ImagerPixelSpacing",),
}


def with_frame_attributes(header: Dataset, frame: int = 0) -> tuple[Dataset, bool]:
    """Give a header with the attributes of one frame at its root.

    A frame's own group comes before the shared one (PS3.3 C.7.6.16.1.1), both before the root. The elements of one
    group are taken together: a center is not paired with the width of another place.

    Args:
        header: Root of a data set, with or without functional groups.
        frame: Which frame, from 0.

    Returns:
        The header itself where it has no such groups, else a copy; and whether two places contradict each other.
    """
    own = header.get("PerFrameFunctionalGroupsSequence") or []
    shared = header.get("SharedFunctionalGroupsSequence") or []
    places = [own[frame]] if len(own) > frame else []
    places += [shared[0]] if shared else []
    if not places:
        return header, False
    flat, contradicted = header, False
    for group, keywords in GROUPS.items():
        items = [place[group][0] for place in places if place.get(group)]
        given = [item for item in (*items, header) if any(_text(item, keyword) for keyword in keywords)]
        if not given:
            continue
        contradicted |= any(_differ(given[0], other, keywords) for other in given[1:])
        if given[0] is not header:
            flat = _copy(header) if flat is header else flat
            _move(given[0], flat, keywords)
    return flat, contradicted


def _copy(header: Dataset) -> Dataset:
    """A shallow copy that keeps the encoding, which lookup tables are read by."""
    copied = Dataset(header)
    copied.set_original_encoding(*header.original_encoding, header.original_character_set)
    return copied


def _move(item: Dataset, target: Dataset, keywords: tuple[str, ...]) -> None:
    for keyword in keywords:
        if keyword in target:
            del target[keyword]
        if keyword in item:
            target[keyword] = item.get_item(keyword)  # as it is, so that text is parsed in one place


def _differ(first: Dataset, second: Dataset, keywords: tuple[str, ...]) -> bool:
    return any(
        _text(first, keyword) != _text(second, keyword)
        for keyword in keywords
        if _text(first, keyword) and _text(second, keyword)
    )


def _text(item: Dataset, keyword: str) -> str:
    element = item.get_item(keyword)
    if element is None or element.value is None:
        return ""
    if isinstance(element, RawDataElement) and isinstance(element.value, bytes):
        return element.value.decode("latin-1").strip(" \0")
    return str(element.value).strip(" \0")
