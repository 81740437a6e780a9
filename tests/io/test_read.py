"""One reader for every kind of film."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from medcnn.errors import ReadError
from medcnn.io.dicom_write import write_film
from medcnn.io.read import read_film


def test_reading_needs_neither_torch_nor_monai(tmp_path: Path) -> None:
    write_film(tmp_path / "a.dcm", np.zeros((4, 6), np.uint16))
    code = (
        "import sys; from pathlib import Path; from medcnn.io.read import read_film; import medcnn.io.manifest;"
        f"read_film(Path({str(tmp_path / 'a.dcm')!r}));"
        "sys.exit(any(name in sys.modules for name in ('torch', 'monai', 'mlflow')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_an_npz_is_not_one_film(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    with pytest.raises(ReadError) as caught:
        read_film(tmp_path / "a.npz")
    assert caught.value.code == "multiframe"
