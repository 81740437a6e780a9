"""``medcnn explain``: where a model looked in one image."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medcnn.errors import ConfigError, MedcnnError, ReadError


@dataclass
class Explain:
    """Show where a model looked in an image: writes the image and its Grad-CAM side by side as a PNG.

    Attributes:
        model: A checkpoint, a model folder, ``runs:/ID`` or ``models:/name@alias``.
        image: One DICOM, PNG, JPEG or TIFF file.
        out: A .png file or a folder; explanation_FINDING.png in the current folder if not given.
        finding: The class to explain; if not given, the second of two classes, or the most probable of several.
        size: Pixels of the longer side of each panel.
    """

    model: str
    image: Path
    out: Path | None = None
    finding: str | None = None
    size: int = 512

    def __call__(self) -> int:
        """Write the picture and say where it is.

        Raises:
            MedcnnError: No such image, model or finding, or the picture would fall on the image itself.
        """
        self._check()
        # What these import takes seconds, and --help has no use for it.
        from medcnn.cli.explanation import explain_film
        from medcnn.cli.models import resolve_model
        from medcnn.io.read import read_film
        from medcnn.scoring.scorer import Scorer

        film = read_film(self.image)  # before the model, which may have to be fetched
        told = explain_film(Scorer.from_path(resolve_model(self.model)), film, self.finding, self.size)
        out = self._write(told.finding, told.picture)
        print(f"{told.finding}: probability {told.probability:.4f}")
        for flag, sentence in told.flags.items():
            print(f"  {flag}" + (f": {sentence}" if sentence else ""))
        print(f"the picture is {out}")
        return 0

    def _check(self) -> None:
        if not 32 <= self.size <= 8192:
            raise ConfigError(f"size is {self.size}; give 32 to 8192 pixels")
        if self.image.is_dir():
            name = self.image.resolve().name
            raise ReadError("not_an_image", f"{name} is a folder: give one image; `medcnn score` reads folders")
        if not self.image.is_file():
            raise ReadError("unreadable", f"there is no image {self.image.name} at the place given: check the path")

    def _write(self, finding: str, picture: Any) -> Path:
        from PIL import Image

        from medcnn.tasks.archive import write_whole

        out = self._target(finding)
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            write_whole(out, lambda draft: Image.fromarray(picture).save(draft, format="PNG"))
        except OSError as error:
            raise MedcnnError(
                f"cannot write {out}: {error.strerror or error}; give another place with --out"
            ) from error
        return out

    def _target(self, finding: str) -> Path:
        # Named after the finding, never after the file: file names carry patients' names.
        name = f"explanation_{re.sub(r'[^A-Za-z0-9-]+', '_', finding)}.png"
        out = Path(name) if self.out is None else self.out
        if out.is_dir() or not out.suffix:
            out = out / name
        if out.suffix.lower() != ".png":
            raise ConfigError(
                f"out is {out.name}, and the picture is a PNG: give a name that ends in .png, or a folder"
            )
        if out.exists() and out.samefile(self.image):
            raise ConfigError(f"{out.name} is the image itself and is not overwritten: give another place with --out")
        return out
