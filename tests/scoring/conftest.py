"""A cohort of films and a model, and the folder of this file on the path: workers import readers by name."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from scoring_product import film, make_product

from medcnn.io.dicom_write import write_film
from medcnn.scoring.workers import warm_up
from medcnn.tasks.checkpoint import Product


@pytest.fixture(scope="session")
def product() -> Product:
    warm_up()
    return make_product()


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Twelve films in three folders."""
    for number in range(12):
        path = tmp_path / "source" / f"patient {number // 4}" / f"film{number}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_film(path, film(number))
    return tmp_path / "source"
