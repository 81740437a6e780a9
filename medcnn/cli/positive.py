"""The positive class of a model, in one line to read before any metric."""

from typing import Any

from medcnn.printable import printable


def positive_line(model: Any) -> str:
    """Name the positive class of a task or product; "" where there is none.

    Args:
        model: Anything with ``classes``, and ``positive`` where one of two classes is.
    """
    positive = getattr(model, "positive", None)
    if not positive:
        return ""
    return f"positive class: {printable(positive, 80)} (of {', '.join(printable(name, 80) for name in model.classes)})"
