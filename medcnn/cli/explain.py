"""``medcnn explain``: where a model looked, in one image or in each of a folder of films."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from medcnn.errors import ConfigError, MedcnnError, ReadError

if TYPE_CHECKING:
    import numpy as np

    from medcnn.cli.explanation import Seen
    from medcnn.io.volume import Volume
    from medcnn.scoring.scorer import Scorer

FILMS = ("dicom", "png", "jpeg", "tiff")


@dataclass
class Explain:
    """Show where a model looked in an image: writes the image and its relevance map side by side as a PNG.

    Of a volume, the PNG shows the three planes through the maximum of the map, and the map itself is written beside
    it as a NIfTI file on the grid of the volume, so that any viewer lays it over the volume. A map is worth as much as
    its checks: compare both methods, give a mask where there is one, and let weights be made random.

    Attributes:
        model: A checkpoint, a model folder, ``runs:/ID`` or ``models:/name@alias``.
        image: One DICOM, PNG, JPEG or TIFF file, or a folder of them; for a model of volumes a NIfTI file, or a folder
            with a DICOM series.
        out: A .png file or a folder; explanation_FINDING.png in the current folder if not given.
        finding: The class to explain; if not given, the second of two classes, or the most probable of several.
        size: Pixels of the longer side of each panel, of the height for a volume.
        method: How to ask: by gradients, by hiding parts of the image, or both ways.
        mask: A lesion mask, above 0 inside: how far the map agrees with it. NIfTI for a volume; for a film a PNG, or a
            NIfTI file of rows and columns, of its size.
        checks: Make the weights random from the logits down: the map must go. Takes about a hundred looks.
        features: Name of a layer; its feature maps for this image are drawn.
        filters: Draw the filters of the first convolution.
        limit: Of a folder of films, explain this many, in the order of their names.
    """

    model: str
    image: Path
    out: Path | None = None
    finding: str | None = None
    size: int = 512
    method: Literal["grad_cam", "occlusion", "both"] = "grad_cam"
    mask: Path | None = None
    checks: bool = False
    features: str | None = None
    filters: bool = False
    limit: int = 20

    def __call__(self) -> int:
        """Write the pictures and say where they are.

        Returns:
            0; 3 where some films of a folder could not be read.

        Raises:
            MedcnnError: No such image, model or finding, or the picture would fall on the image itself.
        """
        self._check()
        # What these import takes seconds, and --help has no use for it.
        from medcnn.cli.models import resolve_model
        from medcnn.scoring.scorer import Scorer

        scorer = Scorer.from_path(resolve_model(self.model))
        if self.image.is_dir() and not scorer.takes_volumes:
            return self._each(scorer)
        self._explain(scorer, self.image)
        return 0

    def _check(self) -> None:
        if not 32 <= self.size <= 8192:
            raise ConfigError(f"size is {self.size}; give 32 to 8192 pixels")
        if self.limit < 1:
            raise ConfigError(f"limit is {self.limit}; give 1 or more")
        if not self.image.exists():
            raise ReadError("unreadable", f"there is no image {self.image.name} at the place given: check the path")
        if self.mask is not None and not self.mask.is_file():
            raise ReadError("unreadable", f"there is no mask {self.mask.name} at the place given: check the path")

    def _each(self, scorer: "Scorer") -> int:
        """Every film of a folder, numbered in the order of their names: the names themselves may tell patients."""
        from itertools import islice

        from medcnn.io.find import find_files

        if self.mask is not None or (self.out is not None and self.out.suffix):
            raise ConfigError("image is a folder: give one image for a mask, and a folder for out")
        if (self.out or Path()).resolve().is_relative_to(self.image.resolve()):
            raise ConfigError("the pictures would lie among the films, and be films the next time: give another --out")
        films = list(islice((found.path for found in find_files(self.image) if found.kind in FILMS), self.limit))
        if not films:
            raise ReadError("not_an_image", f"{self.image.resolve().name} is a folder without a film; give another")
        unread = 0
        for number, film in enumerate(films, 1):
            print(f"film {number} of {len(films)}")
            try:
                self._explain(scorer, film, number)
            except ReadError as error:
                unread += 1
                print(f"  not read: {error.code}")
        return 3 if unread else 0

    def _explain(self, scorer: "Scorer", image: Path, number: int | None = None) -> None:
        """Look at one image, write its pictures, and print what they say."""
        from medcnn.cli import explain_checks
        from medcnn.cli.explanation import film_picture, look, maps_at_home, volume_picture
        from medcnn.data.workers import read_bounded
        from medcnn.io.read import read_film, read_volume

        if scorer.takes_volumes:
            volume = read_bounded(read_volume, image)
            seen = look(scorer, volume, self.finding, self.method)
            home = maps_at_home(volume, seen)
            if self.mask is not None:
                seen.notes.extend(explain_checks.volume_agreement(self.mask, home))
            picture = volume_picture(volume, home, seen, self.size)
        else:
            film = read_bounded(read_film, image)
            seen, home = look(scorer, film, self.finding, self.method), {}
            if self.mask is not None:
                seen.notes.extend(explain_checks.film_agreement(self.mask, film, seen))
            picture = film_picture(film, seen, self.size)
        out = self._target(seen.finding, number)
        written = [*self._write_maps(out, home), *self._write_extras(scorer, seen, out, number)]
        self._write(out, picture)
        _tell(seen, out, written)

    def _write_extras(self, scorer: "Scorer", seen: "Seen", out: Path, number: int | None) -> list[str]:
        from medcnn.cli import explain_checks

        extras = {}
        if self.checks:
            extras["checks"] = explain_checks.weight_check(scorer, seen)
        if self.features:
            extras["features"] = explain_checks.feature_picture(scorer, seen, self.features)
        if self.filters and (number or 1) == 1:  # the same for every image
            extras["filters"] = explain_checks.filter_picture(scorer)
        for name, extra in extras.items():
            self._write(_beside(out, f"_{name}.png"), extra.picture)
        return [f"{extra.sentence}: {_beside(out, f'_{name}.png')}" for name, extra in extras.items()]

    def _write_maps(self, out: Path, home: "dict[str, Volume]") -> list[str]:
        """The first map beside the picture under its name, a second one with its method in the name."""
        written = []
        for number, (method, relevance) in enumerate(home.items()):
            path = _beside(out, f"_{method}.nii.gz" if number else ".nii.gz")
            self._write_map(path, relevance)
            written.append(f"the map of {method} is {path}" if number else f"the map is {path}")
        return written

    def _write_map(self, path: Path, relevance: "Volume") -> None:
        from medcnn.io.find import kind_of
        from medcnn.io.nifti import write_nifti

        self._refuse_source(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        # A NIfTI source keeps both its forms, so that a viewer that prefers either lays the map in place.
        source = relevance.sources[0]
        write_nifti(path, relevance.voxels, relevance.affine, like=source if kind_of(source) == "nifti" else None)

    def _write(self, out: Path, picture: "np.ndarray") -> None:
        from PIL import Image

        from medcnn.files import write_atomic

        self._refuse_source(out)
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(out, lambda draft: Image.fromarray(picture).save(draft, format="PNG"))
        except OSError as error:
            raise MedcnnError(
                f"cannot write {out}: {error.strerror or error}; give another place with --out"
            ) from error

    def _target(self, finding: str, number: int | None) -> Path:
        # Named after the finding, never after the file: file names carry patients' names.
        ending = "" if number is None else f"_{number:03d}"
        name = f"explanation_{re.sub(r'[^A-Za-z0-9-]+', '_', finding)}{ending}.png"
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
        sources = [self.image] if self.mask is None else [self.image, self.mask]
        if out.exists() and any(out.samefile(source) for source in sources):
            raise ConfigError(f"{out.name} is the image itself and is not overwritten: give another place with --out")


def _tell(seen: "Seen", out: Path, written: list[str]) -> None:
    print(f"{seen.finding}: probability {seen.probability:.4f}")
    for note in seen.notes:
        print(f"  {note}")
    for flag, sentence in seen.flags.items():
        print(f"  {flag}" + (f": {sentence}" if sentence else ""))
    print(f"the picture is {out}")
    for line in written:
        print(line)


def _beside(picture: Path, ending: str) -> Path:
    return picture.with_name(f"{picture.stem}{ending}")
