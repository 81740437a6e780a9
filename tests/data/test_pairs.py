"""Which image belongs to which label, and what is refused by name."""

from pathlib import Path

import pandas as pd
import pytest

from medcnn.data.pairs import find_pairs
from medcnn.errors import ConfigError, ManifestError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_equal_names_are_a_pair_and_neither_names_nor_paths_are_in_the_table(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "images/b.nii.gz",
        "images/a.nii",
        "labels/a.nii.gz",
        "labels/b.nii.gz",
        "images/._a.nii",
        "images/x.txt",
    )
    found = find_pairs(tmp_path)
    assert found.images == [("images/a.nii",), ("images/b.nii.gz",)]
    assert found.labels == ["labels/a.nii.gz", "labels/b.nii.gz"]
    assert list(found.table.columns) == ["case", "patient", "split"]
    assert not {"a", "b"} & set(found.table.to_numpy().ravel())
    assert found.table["patient"].nunique() == 2


def test_four_digits_at_the_end_are_a_channel_unless_a_label_has_that_name(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz", "labelsTr/a.nii.gz")
    touch(tmp_path, "imagesTr/b_2019_0001.nii.gz", "imagesTr/b_2019_0000.nii.gz", "labelsTr/b_2019.nii.gz")
    found = find_pairs(tmp_path, "imagesTr", "labelsTr")
    assert found.images[1] == ("imagesTr/b_2019_0000.nii.gz", "imagesTr/b_2019_0001.nii.gz")
    single = touch(tmp_path / "single", "images/b_2019.nii.gz", "labels/b_2019.nii.gz")
    assert find_pairs(single).images == [("images/b_2019.nii.gz",)]


def test_the_two_sides_of_a_patient_are_one_patient(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{folder}/side_{n:03d}.nii.gz" for folder in ("images", "labels") for n in (3, 4, 5, 9, 10)))
    who = find_pairs(tmp_path, patient=r"pairs:(\d+)\.nii").table["patient"].tolist()
    assert who[0] == who[1] != who[2]
    assert who[3] == who[4]
    assert len(set(who)) == 3


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["images/a.nii.gz", "labels/a.nii.gz", "labels/b.nii.gz"], r"labels/b\.nii\.gz has no image: .*images/b"),
        (["images/a.nii.gz", "images/b.nii.gz", "labels/a.nii.gz"], r"images/b\.nii\.gz has no label: .*labels/b"),
        (["images/a_0000.nii.gz", "labels/b.nii.gz"], r"labels/b\.nii\.gz has no image"),
        (["images/a_0000.nii", "images/b_0000.nii", "images/b_0001.nii", "labels/a.nii", "labels/b.nii"],
         r"labels/b\.nii: its image has the channels 0000, 0001, while that of labels/a\.nii has 0000"),
        (["images/a.nii", "images/a_0000.nii", "labels/a.nii"], "a is there with and without a channel number"),
        (["images/a.nii", "images/a.nii.gz", "labels/a.nii"], "images: a.nii.gz and a.nii are one case"),
        (["images/a.nii"], "expected a folder labels, found images"),
        (["images/a.nii", "labels/a.txt"], "labels: no NIfTI file"),
    ],
)  # fmt: skip
def test_what_is_alone_or_double_is_refused_by_its_name_in_one_line(
    tmp_path: Path, names: list[str], said: str
) -> None:
    with pytest.raises(ManifestError, match=said) as refused:
        find_pairs(touch(tmp_path, *names))
    assert "\n" not in str(refused.value)
    assert str(tmp_path) not in str(refused.value)


def test_a_table_names_sequences_masks_patients_splits_and_subgroups(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{kind}{n}.nii" for kind in ("t1", "t2", "m") for n in range(3)))
    rows = [
        {"t1": f"t1{n}.nii", "t2": f"t2{n}.nii", "mask": f"m{n}.nii", "patient": n // 2, "split": "train", "sex": "F"}
        for n in range(3)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "cohort.csv", index=False)
    found = find_pairs(tmp_path / "cohort.csv", ["t1", "t2"])
    assert found.images[2] == ("t12.nii", "t22.nii")
    assert found.labels == ["m0.nii", "m1.nii", "m2.nii"]
    assert found.table["patient"].nunique() == 2
    assert found.subgroups == ("sex",)
    with pytest.raises(ManifestError, match="column image is missing"):
        find_pairs(tmp_path / "cohort.csv")


def test_what_is_not_there_is_a_mistake_of_the_config(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file or folder: nowhere"):
        find_pairs(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="images is the name of one folder"):
        find_pairs(tmp_path, ["t1", "t2"])


def test_a_table_of_pairs_is_read_in_any_dialect(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for kind in ("img", "seg"):
            (tmp_path / kind).mkdir(exist_ok=True)
            (tmp_path / kind / f"{name}.nii.gz").write_bytes(b"x")
    text = (
        "Image Path;Segmentation;Subject ID;age\nimg\\a.nii.gz;seg/a.nii.gz;7;63,5\nimg/b.nii.gz;seg\\b.nii.gz;7.0;70\n"
    )
    (tmp_path / "m.csv").write_text(text, encoding="utf-16")
    found = find_pairs(tmp_path / "m.csv")
    assert found.images == [("img/a.nii.gz",), ("img/b.nii.gz",)]
    assert found.labels == ["seg/a.nii.gz", "seg/b.nii.gz"]
    assert found.table["patient"].nunique() == 1
    assert found.table["age"].tolist() == [63.5, 70.0]
