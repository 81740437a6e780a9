"""``medcnn explain``: where a model looked in one image."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medcnn.errors import ConfigError, MedcnnError, ReadError

if TYPE_CHECKING:
    from medcnn.cli.explanation import Told
    from medcnn.io.volume import Volume
    from medcnn.scoring.scorer import Scorer


@dataclass
class Explain:
    """Show where a model looked in an image: writes the image and its Grad-CAM side by side as a PNG.

    Of a volume, the PNG shows the three planes through the maximum of the map, and the map itself is written beside
    it as a NIfTI file on the grid of the volume, so that any viewer lays it over the volume.

    Attributes:
        model: A checkpoint, a model folder, ``runs:/ID`` or ``models:/name@alias``.
        image: One DICOM, PNG, JPEG or TIFF file; for a model of volumes a NIfTI file, or a folder with a DICOM series.
        out: A .png file or a folder; explanation_FINDING.png in the current folder if not given.
        finding: The class to explain; if not given, the second of two classes, or the most probable of several.
        size: Pixels of the longer side of each panel, of the height for a volume.
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
        from medcnn.cli.models import resolve_model
        from medcnn.scoring.scorer import Scorer

        scorer = Scorer.from_path(resolve_model(self.model))
        told = self._told(scorer)
        out = self._write(told)
        print(f"{told.finding}: probability {told.probability:.4f}")
        for flag, sentence in told.flags.items():
            print(f"  {flag}" + (f": {sentence}" if sentence else ""))
        print(f"the picture is {out}")
        if told.relevance is not None:
            print(f"the map is {_map_beside(out)}")
        return 0

    def _check(self) -> None:
        if not 32 <= self.size <= 8192:
            raise ConfigError(f"size is {self.size}; give 32 to 8192 pixels")
        if not self.image.exists():
            raise ReadError("unreadable", f"there is no image {self.image.name} at the place given: check the path")

    def _told(self, scorer: "Scorer") -> "Told":
        from medcnn.cli.explanation import explain_film, explain_volume
        from medcnn.io.read import read_film, read_volume

        if scorer.takes_volumes:
            return explain_volume(scorer, read_volume(self.image), self.finding, self.size)
        if self.image.is_dir():
            name = self.image.resolve().name
            raise ReadError("not_an_image", f"{name} is a folder: give one image; `medcnn score` reads folders")
        return explain_film(scorer, read_film(self.image), self.finding, self.size)

    def _write(self, told: "Told") -> Path:
        from PIL import Image

        from medcnn.tasks.archive import write_whole

        out = self._target(told.finding)
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            if told.relevance is not None:
                self._write_map(_map_beside(out), told.relevance)
            write_whole(out, lambda draft: Image.fromarray(told.picture).save(draft, format="PNG"))
        except OSError as error:
            raise MedcnnError(
                f"cannot write {out}: {error.strerror or error}; give another place with --out"
            ) from error
        return out

    def _write_map(self, path: Path, relevance: "Volume") -> None:
        from medcnn.io.find import kind_of
        from medcnn.io.nifti import write_nifti

        self._refuse_source(path)
        # A NIfTI source keeps both its forms, so that a viewer that prefers either lays the map in place.
        source = relevance.sources[0]
        write_nifti(path, relevance.voxels, relevance.affine, like=source if kind_of(source) == "nifti" else None)

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
        self._refuse_source(out)
        return out

    def _refuse_source(self, out: Path) -> None:
        if out.exists() and out.samefile(self.image):
            raise ConfigError(f"{out.name} is the image itself and is not overwritten: give another place with --out")


def _map_beside(picture: Path) -> Path:
    return picture.with_name(f"{picture.stem}.nii.gz")
