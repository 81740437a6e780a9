"""``medcnn summary``: what a model is made of, what it costs and what it sees."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medcnn.errors import ConfigError, MedcnnError

if TYPE_CHECKING:
    from medcnn.explain.architecture import Layer
    from medcnn.tasks.checkpoint import Product

WIDTHS = (32, 16, 17, 11, 9, 10)  # with a space between: within 100 columns
HEADS = ("layer", "kind", "output", "parameters", "mult-adds", "sees")


@dataclass
class Summary:
    """Tell a model's layers in the order they run: output shapes, parameters, multiply-adds, receptive field.

    Multiply-adds are those of convolutions, linear layers and products of matrices, for one image. "sees" is the most
    pixels along an axis that a value of the layer can depend on, exact for this size of image and followed through
    every branch: "all" where it is the whole image, "-" where the net reshapes in a way that is not followed.
    The statistics of a normalization over the image are left aside.

    Attributes:
        model: A checkpoint, a model folder, ``runs:/ID`` or ``models:/name@alias``.
        size: Rows and columns, or all three axes of a volume, as in ``[224, 224]``; those it was trained on if not
            given.
        out: A .json file that takes all of it.
    """

    model: str
    size: list[int] | None = None
    out: Path | None = None

    def __call__(self) -> int:
        """Print the table, and write the file where one is wanted.

        Raises:
            MedcnnError: No such model, no size known, or one that the net refuses.
        """
        self._check()
        # What these import takes seconds, and --help has no use for it.
        from medcnn.cli.models import resolve_model
        from medcnn.explain.architecture import architecture
        from medcnn.tasks.checkpoint import open_product

        product = open_product(resolve_model(self.model))
        shape = self._shape(product)
        try:
            layers = architecture(product.build_task().net, shape)
        except ValueError as error:
            raise ConfigError(f"{error}; give a size that it takes with --size") from error
        print("\n".join([*_about(product, shape), "", *table(layers, shape[1:])]))
        if self.out is not None:
            self._write(product, shape, layers)
        return 0

    def _check(self) -> None:
        if self.size is not None and (len(self.size) not in (2, 3) or min(self.size) < 1):
            raise ConfigError(f"size is {self.size}; give two whole numbers, or three for a volume, like [224, 224]")
        if self.out is not None and self.out.suffix.lower() != ".json":
            raise ConfigError(f"out is {self.out.name}; give a name that ends in .json")

    def _shape(self, product: "Product") -> tuple[int, ...]:
        known = tuple(int(n) for n in product.provenance.get("image_shape") or ())
        if self.size is None:
            if not known:
                raise ConfigError("the model does not say what size of image it was trained on: give one with --size")
            return known
        if known and len(self.size) != len(known) - 1:
            axes = len(known) - 1
            raise ConfigError(f"the model takes images of {axes} axes and size is {self.size}: give {axes} numbers")
        return (known[0] if known else 1, *self.size)

    def _write(self, product: "Product", shape: tuple[int, ...], layers: "Sequence[Layer]") -> None:
        import json

        from medcnn.files import write_atomic

        assert self.out is not None
        told: dict[str, Any] = {
            "model_digest": product.digest,
            "net": _net(product),
            "image_shape": list(shape),
            "parameters": sum(layer.parameters for layer in layers),
            "multiply_adds": sum(layer.multiply_adds for layer in layers),
            "layers": [asdict(layer) for layer in layers],
        }
        text = json.dumps(told, indent=2) + "\n"
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self.out, lambda draft: draft.write_text(text, "utf-8"))
        except OSError as error:
            raise MedcnnError(
                f"cannot write {self.out}: {error.strerror or error}; give another place with --out"
            ) from error
        print(f"all of it is in {self.out}")


def table(layers: "Sequence[Layer]", spatial: Sequence[int]) -> list[str]:
    """Lines of at most 100 characters: a head, a line a layer, and the totals."""
    lines = [_line(HEADS), _line(["-" * width for width in WIDTHS])]
    for layer in layers:
        output = "x".join(map(str, layer.output_shape[1:])) or "does not run"
        numbers = (_count(layer.parameters), _short(layer.multiply_adds), _seen(layer, spatial))
        lines.append(_line((layer.name or "(the net)", layer.kind, output, *numbers)))
    parameters, work = sum(one.parameters for one in layers), sum(one.multiply_adds for one in layers)
    lines.append(_line(["-" * width for width in WIDTHS]))
    lines.append(_line((f"{len(layers)} layers", "", "", _count(parameters), _short(work), "")))
    return lines


def _about(product: "Product", shape: Sequence[int]) -> list[str]:
    classes = ", ".join(product.classes)
    return [
        f"net      {_net(product)}",
        f"answers  {classes if len(classes) <= 80 else f'{len(product.classes)} classes'}",
        f"image    {'x'.join(map(str, shape))} (channels first)",
        f"digest   {product.digest}",
    ]


def _net(product: "Product") -> str:
    return str((product.task.get("init_args", {}).get("net") or {}).get("class_path", ""))


def _line(cells: Sequence[str]) -> str:
    cut = [_cut(cell, width) for cell, width in zip(cells, WIDTHS, strict=True)]
    left = [cell.ljust(width) for cell, width in zip(cut[:3], WIDTHS[:3], strict=True)]
    right = [cell.rjust(width) for cell, width in zip(cut[3:], WIDTHS[3:], strict=True)]
    return " ".join([*left, *right]).rstrip()


def _cut(text: str, width: int) -> str:
    # The end of a name tells more than its beginning.
    return text if len(text) <= width else f"..{text[-(width - 2) :]}"


def _seen(layer: "Layer", spatial: Sequence[int]) -> str:
    field = layer.receptive_field
    if field is None:
        return "-"
    if tuple(field) == tuple(spatial):
        return "all"
    return str(field[0]) if len(set(field)) == 1 else "x".join(map(str, field))


def _count(number: int) -> str:
    return f"{number:,}" if number else "-"


def _short(number: int) -> str:
    if not number:
        return "-"
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.2f} {unit}"
    return str(number)
