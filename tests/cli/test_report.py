"""``medcnn report`` as it is typed: a page of a table, no name of a person on it, and one line for every mistake."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medcnn.cli.judged import Numbers, nameless
from medcnn.cli.main import main
from medcnn.cli.reporting import cleared

N = 120


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What another program wrote, with names where there should be none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, N)
    pd.DataFrame({
        "case": [f"Quillfeather_{row}" for row in range(N)],
        "patient": [f"Vandersloot^{row // 2}" for row in range(N)],
        "label": label,
        "probability": 1 / (1 + np.exp(-rng.normal(size=N) - 1.5 * label + 0.7)),
        "sex": rng.choice(["f", "m"], N),
        "referring_physician": "Tumbleweir",
        "group/PatientName": "Pemberquist",
    }).to_csv("mine.csv", index=False)  # fmt: skip
    return tmp_path / "mine.csv"


def test_a_strangers_table_becomes_a_page_that_names_nobody(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "mine.csv", "--prevalence", "0.1"]) == 0
    said = capsys.readouterr().out
    assert "referring_physician" in said
    assert "PatientName" in said
    assert "AUROC" in said
    folder = table.parent / "report_table"
    written = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {"report.html", "model_card.json"} <= {path.name for path in written}
    for name in (b"Quillfeather", b"Vandersloot", b"Tumbleweir", b"Pemberquist"):
        assert not [path.name for path, content in written.items() if name in content]
    assert b"60 patients" in written[folder / "report.html"]
    assert not (table.parent / "mlflow.db").exists()


def test_two_tables_are_paired_by_case_whatever_their_order(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pd.read_csv(table).sample(frac=1, random_state=1).to_csv("shuffled.csv", index=False)
    assert main(["report", "mine.csv", "--compare", "shuffled.csv", "--out", "both"]) == 0
    assert "0.000" in next(line for line in capsys.readouterr().out.splitlines() if line.startswith("AUROC diff"))


@pytest.mark.parametrize(
    ("left_out", "said"), [(["mine", "other"], "neither table has"), (["other"], "one of the two")]
)
def test_tables_whose_rows_nothing_ties_together_are_not_compared(
    table: Path, left_out: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("mine", "other"):
        pd.read_csv(table).drop(columns=["case"] if name in left_out else []).to_csv(f"{name}_.csv", index=False)
    assert main(["report", "mine_.csv", "--compare", "other_.csv"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "which rows belong together" in error


def test_pseudonyms_of_medcnn_stay_and_other_names_become_the_same_number_in_every_table() -> None:
    ours = pd.DataFrame({"case": ["c00000000000a", "c00000000000b"], "patient": ["Doe", ""]})
    numbers = Numbers()
    first, notes = nameless(ours, numbers)
    assert first["case"].tolist() == ours["case"].tolist()
    assert first["patient"].tolist() == ["patient 1", ""]
    assert len(notes) == 1
    assert nameless(pd.DataFrame({"patient": ["Roe", "Doe"]}), numbers)[0]["patient"].tolist() == [
        "patient 2", "patient 1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gone.csv"], "no table gone.csv"),
        (["mine.csv", "--prevalence", "1.5"], "prevalence is 1.5"),
        (["mine.csv", "--threshold", "0"], "threshold is 0"),
        (["mine.csv", "--about", "gone.yaml"], "there is no file gone.yaml"),
        (["mine.csv", "--about", "."], "is a folder"),
        (["mine.csv", "--about", "odd.yaml"], "about.yaml beside each page lists"),
        (["."], "is a folder: give a run or a table"),
        ([""], "no run is named"),
        (["nothing.csv"], "the file is empty"),
        (["ragged.csv"], "row 3 has 3 fields, the header 2"),
        (["cut.parquet"], "damaged or not whole"),
        (["mine.csv", "--out", "mine.csv"], "is a file"),
        (["mine.csv", "--compare", "gone.csv"], "no table gone.csv"),
        (["abcdef12"], "begins with abcdef12"),
        (["empty.csv"], "probability"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(
    table: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty.csv").write_text("label,score\n1,0.5\n")
    Path("odd.yaml").write_text("xyzzyq: 1\n")
    Path("nothing.csv").write_text("")
    Path("ragged.csv").write_text("label,probability\n1,0.5\n1,0,5\n")
    Path("cut.parquet").write_bytes(b"PAR1 and no more")
    assert main(["report", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1


def test_help_needs_neither_torch_nor_mlflow() -> None:
    import subprocess
    import sys

    look = "import sys, medcnn.cli.report; print(sorted({'mlflow', 'torch', 'pandas'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", look]).decode().strip() == "[]"


def test_a_threshold_that_is_given_makes_predictive_values_of_a_table(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "mine.csv", "--threshold", "0.5", "--prevalence", "0.1"]) == 0
    said = capsys.readouterr().out
    frame = pd.read_csv(table)
    sensitivity = (frame["probability"][frame["label"] == 1] >= 0.5).mean()
    assert f"sensitivity              {sensitivity:.3f}" in said
    there = pd.read_csv(table.parent / "report_table_at_0.5" / "tables" / "at_prevalence.csv")
    assert there["PPV there"].notna().all()


def test_a_text_with_a_colon_is_refused_with_its_line_and_the_way_out(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("about.yaml").write_text("title: Finder\nfunding: by: nobody\n")
    assert main(["report", "mine.csv", "--about", "about.yaml"]) == 2
    error = capsys.readouterr().err
    assert "line 2" in error
    assert "needs quotes" in error


def test_a_table_is_judged_without_torch_and_mlflow(table: Path) -> None:
    import subprocess
    import sys

    look = (
        "import sys; from medcnn.cli.report import Report; Report('mine.csv')();"
        "print(sorted({'mlflow', 'torch', 'monai', 'pytorch_lightning'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", look]).decode().strip().endswith("[]")


def test_a_second_page_in_a_folder_leaves_nothing_of_the_first_and_all_that_is_not_medcnns(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "mine.csv", "--compare", "mine.csv", "--out", "page"]) == 0
    assert "replaced the page" not in capsys.readouterr().out
    first = {path.name for path in Path("page/tables").iterdir()}
    for own in ("page/notes.txt", "page/tables/notes.txt", "page/mine.png"):
        Path(own).write_text("mine")
    pd.read_csv(table).drop(columns="sex").to_csv("bare.csv", index=False)
    assert main(["report", "bare.csv", "--out", "page"]) == 0
    assert "replaced the page that stood there" in capsys.readouterr().out
    second = {path.name for path in Path("page/tables").iterdir()}
    assert "subgroups.csv" in first - second
    assert "notes.txt" in second
    assert Path("page/notes.txt").exists()
    assert Path("page/mine.png").exists()


def test_a_folder_of_somebody_elses_is_no_place_for_a_page(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("films").mkdir()
    Path("films/one.png").write_bytes(b"")
    assert main(["report", "mine.csv", "--out", "films"]) == 2
    assert "give a folder of its own" in capsys.readouterr().err
    assert [path.name for path in Path("films").iterdir()] == ["one.png"]


def test_tables_beside_a_page_of_another_program_stay(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "theirs.csv").write_text("a")
    (tmp_path / "report.html").write_text("<html>theirs</html>")
    assert not cleared(tmp_path)
    assert (tmp_path / "tables" / "theirs.csv").exists()


@pytest.mark.parametrize("classes", ["[1, 2]", '["1", "2"]', "[1,2]"])
def test_numbers_serve_as_names_of_classes(classes: str, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.read_csv(table)
    frame.assign(label=frame["label"] + 1).to_csv("from_one.csv", index=False)
    assert main(["report", "from_one.csv", "--classes", classes]) == 0
    again = capsys.readouterr().out
    assert main(["report", "mine.csv"]) == 0
    assert _line(again, "AUROC") == _line(capsys.readouterr().out, "AUROC")


def _line(said: str, word: str) -> str:
    return next(line for line in said.splitlines() if line.startswith(word))
