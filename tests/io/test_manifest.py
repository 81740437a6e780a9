from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medcnn.errors import ManifestError
from medcnn.io.dicom_write import write_film
from medcnn.io.manifest import folder_manifest, read_manifest


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(path, format="PNG")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in "abcd":
        image(tmp_path / "films" / f"{name}.png")
    return tmp_path / "films"


def written(root: Path, header: str, rows: Sequence[str], separator: str = ",", encoding: str = "utf-8") -> Path:
    text = "\n".join([header, *rows]).replace(",", separator)
    (root / "cases.csv").write_text(text + "\n", encoding=encoding)
    return root / "cases.csv"


ROWS = ["a.png,normal,1,train", "b.png,pneumonia,1,Train", "c.png,normal,2,valid", "d.png,,3,TEST"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_table_is_read_with_any_separator_and_mark(root: Path, separator: str, encoding: str) -> None:
    found = read_manifest(written(root, "path,label,patient,split", ROWS, separator, encoding))
    assert found.classes == ("normal", "pneumonia")
    assert found.table["label"].tolist() == [0, 1, 0, -1]
    assert found.table["label"].dtype == np.int64
    assert found.table["split"].tolist() == ["train", "train", "val", "test"]
    assert found.table["path"].tolist() == ["a.png", "b.png", "c.png", "d.png"]
    assert not found.multilabel


def test_patients_and_cases_are_pseudonyms(root: Path) -> None:
    table = read_manifest(written(root, "path,label,patient,split", ROWS)).table
    assert table["patient"].str.fullmatch("p[0-9a-f]{12}").all()
    assert table["case"].str.fullmatch("c[0-9a-f]{12}").all()
    assert table["patient"].nunique() == 3
    assert table["patient"][0] == table["patient"][1]
    assert sorted(path.name for path in root.iterdir()) == ["a.png", "b.png", "c.png", "cases.csv", "d.png"]


def test_parquet_gives_what_csv_gives(root: Path) -> None:
    columns = {"path": list("abcd"), "label": [0, 1, 0, None], "patient": [7, 7, 8, 9], "age": [61.5, None, 40, 3]}
    frame = pd.DataFrame(columns)
    frame["path"] += ".png"
    frame.to_parquet(root / "cases.parquet")
    frame.to_csv(root / "cases.csv", index=False)
    one, other = read_manifest(root / "cases.parquet"), read_manifest(root / "cases.csv")
    pd.testing.assert_frame_equal(one.table, other.table)
    assert one.table["label"].tolist() == [0, 1, 0, -1]
    assert one.classes == ("0", "1")


def test_given_classes_set_the_order_and_numbers_count_in_it(root: Path) -> None:
    rows = ["a.png,pneumonia", "b.png,1", "c.png,0", "d.png,-1"]
    found = read_manifest(written(root, "path,label", rows), classes=["pneumonia", "normal"])
    assert found.classes == ("pneumonia", "normal")
    assert found.table["label"].tolist() == [0, 1, 0, -1]


def test_findings_are_masked_where_unknown_or_uncertain(root: Path) -> None:
    rows = ["a.png,1,yes", "b.png,0.0,no", "c.png,-1,", "d.png,nan,TRUE"]
    found = read_manifest(written(root, "path,effusion,edema", rows), findings=["effusion", "edema"])
    assert found.multilabel
    assert found.classes == ("effusion", "edema")
    assert found.table["effusion"].dtype == np.float32
    np.testing.assert_array_equal(found.table["effusion"], [1, 0, np.nan, np.nan])
    np.testing.assert_array_equal(found.table["edema"], [1, 0, np.nan, 1])


def test_columns_that_describe_groups_stay_and_those_that_name_persons_go(root: Path) -> None:
    header = "path,label,PatientName,mrn,BirthDate,sex,PatientAge,visit,contact,Study_ID,code"
    rows = [
        f"{name}.png,{int(name in 'ab')},Doe^J{name},12345{at},1950-01-0{at + 1},{'MF'[at % 2]},{50 + at},2020010{at},"
        f"j{name}@x.org,{at},{name}^{name}"
        for at, name in enumerate("abcd")
    ]
    found = read_manifest(written(root, header, rows))
    assert found.subgroups == ("sex", "PatientAge")
    assert found.dropped == ("PatientName", "BirthDate", "visit", "contact", "Study_ID", "code")
    assert found.table["PatientAge"].tolist() == [50.0, 51.0, 52.0, 53.0]
    assert not set(found.dropped) & set(found.table.columns)


@pytest.mark.parametrize(
    ("header", "rows", "words"),
    [
        ("name,label", ["a.png,x"], "column path is missing; found name, label"),
        ("path,grade", ["a.png,x"], "column label is missing"),
        ("file,image,label", ["a.png,b.png,x"], "column path is missing and several could be meant (file, image)"),
        (
            "path,class,diagnosis",
            ["a.png,x,y"],
            "column label is missing and several could be meant (class, diagnosis)",
        ),
        ("path,label", ["a.png,x", "b.png,y", "./a.png,x"], "named twice, first a.png in rows [2, 4]"),
        (
            "path,label",
            ["a.png,x", "e.png,y", "f.png,y"],
            "2 of 3 files are not under films: e.png (row 3), f.png (row 4)",
        ),
        ("path,label", ["../../etc/passwd,x"], "row 2: the path leads out of films"),
        ("path,label", ["/etc/passwd,x"], "row 2: the path leads out of films"),
        ("path,label", [",x"], "row 2: no path"),
        ("path,label,split", ["a.png,x,holdout"], "expected train, val, test or blank; found 'holdout' in row 2"),
        ("path,label,label", ["a.png,x,y"], "column label appears twice"),
        ("path,label", [], "no rows"),
    ],
)
def test_a_table_that_cannot_be_used_says_where_and_why(root: Path, header: str, rows: list[str], words: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read_manifest(written(root, header, rows))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_labels_are_named_with_their_rows(root: Path) -> None:
    path = written(root, "path,label", ["a.png,normal", "b.png,pnuemonia", "c.png,7", "d.png,"])
    with pytest.raises(ManifestError, match=r"found 'pnuemonia' in row 3, '7' in row 4"):
        read_manifest(path, classes=["normal", "pneumonia"])
    with pytest.raises(ManifestError, match="column label: expected 0, 1, true"):
        read_manifest(path, findings=["label"])


def test_paths_may_be_absolute_or_of_windows_if_they_stay_under_the_root(root: Path) -> None:
    image(root / "deep" / "e.png")
    rows = [f"{root / 'a.png'},x", "deep\\e.png,x", "deep/../b.png,x"]
    found = read_manifest(written(root, "path,label", rows), root=root)
    assert found.table["path"].tolist() == ["a.png", "deep/e.png", "b.png"]


def test_a_root_elsewhere_is_where_paths_begin(root: Path, tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    path = written(tmp_path / "tables", "path,label", ["a.png,x", "b.png,x"])
    assert read_manifest(path, root=root).root == root
    with pytest.raises(ManifestError, match="2 of 2 files"):
        read_manifest(path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00garbage", b'path,label\n"a.png,x', b"PAR1nonsense"])
def test_what_is_no_table_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cases.csv").write_bytes(content)
    with pytest.raises(ManifestError, match=r"^manifest cases.csv: "):
        read_manifest(tmp_path / "cases.csv")
    with pytest.raises(ManifestError, match="no such file"):
        read_manifest(tmp_path / "absent.csv")


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name in (
        "NORMAL/IM-0001-0001.jpeg",
        "NORMAL/IM-0001-0002.jpeg",
        "NORMAL/odd.jpeg",
        "PNEUMONIA/person1_virus_6.jpeg",
    ):
        image(tmp_path / name)
    (tmp_path / "NORMAL" / "readme.txt").write_text("words")
    return tmp_path


def test_class_folders_are_a_manifest(folders: Path) -> None:
    found = folder_manifest(folders)
    assert found.classes == ("NORMAL", "PNEUMONIA")
    assert found.table["label"].tolist() == [0, 0, 0, 1]
    assert found.table["patient"].nunique() == 4
    assert "1 files under the class folders are no images and were left out" in found.notes
    assert folder_manifest(folders, classes=["PNEUMONIA", "NORMAL"]).table["label"].tolist() == [0, 1, 1, 1]


def test_patients_come_from_the_first_group_that_matches_and_the_rest_are_counted(folders: Path) -> None:
    found = folder_manifest(folders, patient=r"pattern:^(person\d+)_|^(IM-\d+)")
    who = found.table.set_index("path")["patient"]
    assert who["NORMAL/IM-0001-0001.jpeg"] == who["NORMAL/IM-0001-0002.jpeg"] != who["NORMAL/odd.jpeg"]
    assert found.notes[0] == "1 of 4 cases: no patient by the pattern; each counts as a patient of its own"


def test_patients_come_from_the_dicom_header(tmp_path: Path) -> None:
    for number, (name, patient) in enumerate((("no/1", "A"), ("no/2", "A"), ("yes/3", "B"), ("yes/4", ""))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_film(tmp_path / name, np.full((4, 4), number, np.uint16), patient_id=patient)
    found = folder_manifest(tmp_path, patient="dicom")
    patients = found.table["patient"].tolist()
    assert patients[0] == patients[1]
    assert len(set(patients)) == 3
    assert found.notes[0].startswith("1 of 4 cases: no patient by the DICOM header")


def test_folders_of_splits_hold_the_split(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        for name in ("NORMAL", "PNEUMONIA"):
            image(tmp_path / split / name / "1.png")
    table = folder_manifest(tmp_path).table
    assert table["split"].tolist() == ["train"] * 2 + ["val"] * 2 + ["test"] * 2
    assert table["label"].tolist() == [0, 1] * 3


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("column:who", "no column who"),
        ("pattern:(", "no regular expression"),
        ("pattern:x", "no group"),
        ("name", "expected"),
    ],
)
def test_a_source_of_patients_that_is_none_is_refused(folders: Path, spec: str, words: str) -> None:
    with pytest.raises(ManifestError, match=words):
        folder_manifest(folders, patient=spec)


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="two or more class folders"):
        folder_manifest(tmp_path)
    (tmp_path / "a").mkdir()
    image(tmp_path / "b" / "1.png")
    with pytest.raises(ManifestError, match="no image for class a"):
        folder_manifest(tmp_path)
    with pytest.raises(ManifestError, match="no folder absent"):
        folder_manifest(tmp_path / "absent")


@pytest.mark.data
def test_the_patients_of_the_chest_films_are_in_their_names(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    found = folder_manifest(shared_data / "chest_xray", patient=r"pattern:^(person\d+|(?:NORMAL2-)?IM-\d+)")
    assert len(found.table) == 5216
    assert found.notes == ()
    assert found.table["patient"].nunique() < 3000
