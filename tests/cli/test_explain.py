"""``medcnn explain`` on a small model and a film made here."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from medcnn.cli.main import main
from medcnn.io.dicom_write import write_film
from medcnn.tasks.build import build
from medcnn.tasks.checkpoint import Product

NAME = "DOE^JANE"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of random weights and 32-pixel images."""
    net = {"class_path": "medcnn.nets.resnet.ResNet", "init_args": {"widths": [4, 8], "depths": [1, 1]}}
    loss = {"class_path": "torch.nn.CrossEntropyLoss", "init_args": {}}
    task = {
        "class_path": "medcnn.tasks.classification.ClassificationTask",
        "init_args": {"net": net, "loss": loss, "classes": ["normal", "pleural effusion"]},
    }
    torch.manual_seed(3)
    built = build(task)
    for weight in built.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    resize = {"keys": ["image"], "spatial_size": [32, 32], "mode": "area"}
    folder = tmp_path_factory.mktemp("model") / "product"
    Product(
        weights=built.state_dict(),
        task=task,
        preprocess=[
            {"class_path": "monai.transforms.Resized", "init_args": resize},
            {"class_path": "monai.transforms.ScaleIntensityd", "init_args": {"keys": ["image"]}},
        ],
        classes=("normal", "pleural effusion"),
        multilabel=False,
        decision=None,
        provenance={"run_id": "", "medcnn_version": "0", "data_digest": "", "image_shape": [1, 32, 32]},
    ).to_folder(folder)
    return folder


@pytest.fixture
def film(tmp_path: Path) -> Path:
    pixels = np.zeros((80, 60), np.uint16)
    pixels[20:50, 15:40] = np.arange(25) * 100 + 400
    path = tmp_path / "doe_jane.dcm"
    write_film(path, pixels, patient_id=NAME, PatientName=NAME)
    return path


def explain(*words: object) -> int:
    return main(["explain", *map(str, words)])


def test_the_picture_holds_the_image_the_overlay_and_the_caption(
    model: Path, film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pictures" / "one.png"
    assert explain(model, film, "--out", out, "--size", 240) == 0
    picture = np.asarray(Image.open(out))
    left, right = picture[:240, :180], picture[:240, -180:]
    assert (left[..., 0] == left[..., 2]).all()  # gray
    assert not (right[..., 0] == right[..., 2]).all()  # colored
    assert picture.shape[0] > 240
    said = capsys.readouterr().out
    assert str(out) in said
    assert "pleural effusion: probability 0." in said
    assert "place_assumed" not in said
    assert list(out.parent.iterdir()) == [out]  # no draft is left


def test_the_probability_is_that_of_scoring(model: Path, film: Path, tmp_path: Path, capsys) -> None:
    from medcnn.io.read import read_film
    from medcnn.scoring.scorer import Scorer

    assert explain(model, film, "--out", tmp_path, "--finding", "normal") == 0
    expected = Scorer.from_path(model).score_film(read_film(film))[0]
    assert f"normal: probability {float(expected):.4f}" in capsys.readouterr().out


def test_nothing_that_is_written_names_the_patient(
    model: Path, film: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    assert explain(model, film) == 0
    assert [path.name for path in place.iterdir()] == ["explanation_pleural_effusion.png"]
    said = "".join(capsys.readouterr()) + next(place.iterdir()).read_bytes().decode("latin1")
    assert "doe" not in said.lower().replace("does", "")
    assert Image.open(next(place.iterdir())).info == {}


def test_the_image_itself_is_never_overwritten(model: Path, tmp_path: Path, capsys) -> None:
    path = tmp_path / "film.png"
    Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)).save(path)
    before = path.read_bytes()
    link = tmp_path / "link.png"
    link.symlink_to(path)
    for out in (path, link, tmp_path / "x" / ".." / "film.png"):
        (tmp_path / "x").mkdir(exist_ok=True)
        assert explain(model, path, "--out", out) == 2
        assert "not overwritten" in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("image", "words"), [("none.dcm", "there is no image none.dcm"), (".", "is a folder"), ("notes.txt", "notes.txt")]
)
def test_what_is_no_image_is_said_in_one_line(model: Path, tmp_path: Path, capsys, image: str, words: str) -> None:
    (tmp_path / "notes.txt").write_text("not an image")
    assert explain(model, tmp_path / image) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_an_unknown_finding_is_answered_with_those_known(model: Path, film: Path, tmp_path: Path, capsys) -> None:
    assert explain(model, film, "--finding", "mass", "--out", tmp_path) == 2
    assert "normal, pleural effusion" in capsys.readouterr().err


def test_a_model_that_is_not_there_is_said_so(film: Path, tmp_path: Path, capsys) -> None:
    assert explain(tmp_path / "none.ckpt", film) == 2
    assert "none.ckpt" in capsys.readouterr().err


def test_only_a_png_is_written(model: Path, film: Path, tmp_path: Path, capsys) -> None:
    assert explain(model, film, "--out", tmp_path / "picture.dcm") == 2
    assert ".png" in capsys.readouterr().err


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom medcnn.cli.main import main\n"
        "try: main(['explain', '--help'])\nexcept SystemExit: pass\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'mlflow', 'monai', 'numpy')))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "finding" in done.stdout
