"""``medcnn inspect``: what a file or a folder is, before anything is done with it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass
class Inspect:
    """Say what a file or a folder is: series, geometry, photometry, what would be skipped and why.

    Everything is read, pixels too, and nothing is written. No patient, date or description is shown; names of files and
    of folders are, and may tell a patient by themselves.

    Attributes:
        path: A file, or a folder that is searched recursively.
        format: ``text`` for people, ``json`` for programs.
    """

    path: Path
    format: Literal["text", "json"] = "text"

    def __call__(self) -> int:
        """Print what is there.

        Returns:
            0, whatever is found.

        Raises:
            MedcnnError: If there is nothing at the path.
        """
        from medcnn.cli.inspection import as_json, as_text, pairs_in
        from medcnn.errors import MedcnnError
        from medcnn.io.contents import Refused, contents

        hidden: list[Path] = []
        told = list(contents(self.path, hidden))
        if not told:
            raise MedcnnError(f"{self.path.name} holds no files: expected images")
        images = [one for one in told if not isinstance(one, Refused)]
        refused = [one for one in told if isinstance(one, Refused)]
        if self.format == "json":
            print(as_json(images, refused, len(hidden)))
        else:
            print("\n".join([*as_text(images, refused, len(hidden)), *pairs_in(self.path)]))
        return 0
