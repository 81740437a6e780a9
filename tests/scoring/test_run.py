import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scoring_readers
import torch
from processes import TIME_LIMIT_S
from scoring_product import film, make_product

from medcnn.errors import CheckpointError, MedcnnError
from medcnn.io.dicom_write import write_film
from medcnn.io.find import REASONS
from medcnn.io.read import read_film
from medcnn.scoring.run import Options, score_folder
from medcnn.scoring.scorer import Scorer
from medcnn.scoring.source import list_files
from medcnn.scoring.tally import Tally
from medcnn.tasks.checkpoint import Product

FEW = Options(workers=2, batch_size=4, timeout_s=60.0)


def findings(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "findings.csv", keep_default_na=False, float_precision="round_trip").set_index("path")


def skipped(out: Path) -> dict[str, str]:
    with (out / "skipped.csv").open(newline="") as stream:
        return {row["path"]: row["reason"] for row in csv.DictReader(stream)}


def test_every_film_gets_the_probabilities_of_reading_preparing_and_the_net_alone(
    product: Product, cohort: Path, tmp_path: Path
) -> None:
    tally = score_folder(product, cohort, tmp_path / "out", FEW)
    assert (tally.found, tally.states["scored"], tally.exit_code) == (12, 12, 0)
    table = findings(tmp_path / "out")
    task = product.build_task()
    for name, row in table.iterrows():
        pixels = torch.from_numpy(read_film(cohort / str(name)).pixels.astype(np.float32))[None, None]
        small = torch.nn.functional.interpolate(pixels, (32, 32), mode="area")
        image = (small - small.min()) / (small.max() - small.min())
        expected = torch.softmax(task.net(image) / 1.5, dim=1)[0]
        np.testing.assert_allclose([row["probability/normal"], row["probability/effusion"]], expected, atol=2e-4)
        assert row["call"] == ("effusion" if expected[1] >= 0.4 else "normal")
    assert set(table["threshold"]) == {0.4}
    assert set(table["model"]) == {product.digest}
    assert table["call"].nunique() == 2


def test_parquet_holds_what_the_csv_holds(product: Product, cohort: Path, tmp_path: Path) -> None:
    score_folder(product, cohort, tmp_path / "out", FEW)
    parquet = pd.read_parquet(tmp_path / "out" / "findings.parquet").set_index("path")
    table = findings(tmp_path / "out")
    assert list(parquet.columns) == list(table.columns)
    assert list(parquet.index) == list(table.index) == sorted(table.index)
    column = "probability/effusion"
    np.testing.assert_array_equal(parquet[column].to_numpy(), table[column].to_numpy(dtype=np.float32))


def test_a_monochrome1_film_scores_as_its_inverted_monochrome2_twin(product: Product, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    write_film(source / "two.dcm", film(1), photometric="MONOCHROME2")
    write_film(source / "one.dcm", 4095 - film(1), photometric="MONOCHROME1")
    score_folder(product, source, tmp_path / "out", FEW)
    table = findings(tmp_path / "out")
    assert table.loc["one.dcm", "probability/effusion"] == table.loc["two.dcm", "probability/effusion"]


LOSSLESS = {
    "implicit": "1.2.840.10008.1.2", "explicit": "1.2.840.10008.1.2.1", "big-endian": "1.2.840.10008.1.2.2",
    "rle": "1.2.840.10008.1.2.5", "jpeg": "1.2.840.10008.1.2.4.70", "jpeg-any": "1.2.840.10008.1.2.4.57",
    "jpeg-ls": "1.2.840.10008.1.2.4.80", "jpeg-2000": "1.2.840.10008.1.2.4.90", "htj2k": "1.2.840.10008.1.2.4.201",
}  # fmt: skip


def test_a_film_scores_the_same_in_every_lossless_syntax(product: Product, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name, syntax in LOSSLESS.items():
        write_film(source / f"{name}.dcm", film(1), transfer_syntax=syntax)
    tally = score_folder(product, source, tmp_path / "out", FEW)
    table = findings(tmp_path / "out")
    assert tally.exit_code == 0, tally.reasons
    assert len(table) == len(LOSSLESS)
    assert table["probability/effusion"].nunique() == 1


@pytest.mark.parametrize(("name", "reason"), [("segfault", "decoder_crashed"), ("killed", "decoder_crashed"),
                                              ("hangs", "timeout"), ("huge", "out_of_memory"),
                                              ("bug", "prepare_failed")])  # fmt: skip
def test_a_poisoned_file_costs_itself_alone(
    product: Product, cohort: Path, tmp_path: Path, name: str, reason: str
) -> None:
    first = next(cohort.rglob("*.dcm"))
    for place in ("a", "m", "z"):
        shutil.copy(first, cohort / f"{place}-{name}.dcm")
    # Short where a file hangs, and long enough for a slow machine where none does.
    limits = Options(2, 4, timeout_s=3.0 if name == "hangs" else 60.0)
    tally = score_folder(product, cohort, tmp_path / "out", limits, scoring_readers.moody)
    assert tally.states == {"scored": 12, "failed": 3}
    assert tally.exit_code == 3
    assert skipped(tmp_path / "out") == {f"{place}-{name}.dcm": reason for place in ("a", "m", "z")}
    assert "Doe" not in "".join(path.read_text("latin-1") for path in (tmp_path / "out").iterdir())


def test_a_second_start_scores_only_what_is_new_or_changed(product: Product, cohort: Path, tmp_path: Path) -> None:
    score_folder(product, cohort, tmp_path / "out", FEW)
    before = findings(tmp_path / "out")
    assert score_folder(product, cohort, tmp_path / "out", FEW).done_now == 0
    write_film(cohort / "new.dcm", film(40))
    write_film(cohort / "patient 1" / "film5.dcm", film(41))
    tally = score_folder(product, cohort, tmp_path / "out", FEW)
    after = findings(tmp_path / "out")
    assert (tally.done_now, tally.states["scored"]) == (2, 13)
    assert set(after.index) - set(before.index) == {"new.dcm"}
    changed = after.loc[before.index, "probability/effusion"] != before["probability/effusion"]
    assert list(before.index[changed]) == ["patient 1/film5.dcm"]


def test_the_tables_hold_what_is_in_the_source_now(product: Product, cohort: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    score_folder(product, cohort, out, FEW)
    before = findings(out)
    files = sorted(cohort.rglob("*.dcm"))
    files[0].unlink()
    files[1].rename(cohort / "renamed.dcm")
    (cohort / "._film.dcm").write_bytes(b"AppleDouble")
    tally = score_folder(product, cohort, out, FEW)
    table, summary = findings(out), json.loads((out / "summary.json").read_text())
    assert {cohort / name for name in table.index} == set(cohort.rglob("[!.]*.dcm"))
    assert len(table) == summary["scored"] == tally.states["scored"] == 11
    names = {str(path.relative_to(cohort)) for path in files[:2]}
    assert skipped(out) == dict.fromkeys(names, "gone")
    assert (summary["gone"], summary["hidden"]) == (2, 1)
    column = "probability/effusion"
    assert table.loc["renamed.dcm", column] == before.loc[str(files[1].relative_to(cohort)), column]


def test_a_file_replaced_under_its_size_and_time_is_scored(product: Product, cohort: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    score_folder(product, cohort, out, FEW)
    files = sorted(cohort.rglob("*.dcm"), key=lambda path: path.stat().st_size)
    old, other = next(pair for pair in pairwise(files) if pair[0].stat().st_size == pair[1].stat().st_size)
    kept = old.stat()
    shutil.copyfile(other, old)
    os.utime(old, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert (old.stat().st_size, old.stat().st_mtime_ns) == (kept.st_size, kept.st_mtime_ns)
    assert score_folder(product, cohort, out, FEW).done_now == 1
    column = findings(out)["probability/effusion"]
    assert column[str(old.relative_to(cohort))] == column[str(other.relative_to(cohort))]


def test_what_crashed_is_tried_again_at_the_next_start(product: Product, cohort: Path, tmp_path: Path) -> None:
    shutil.copy(next(cohort.rglob("*.dcm")), cohort / "segfault.dcm")
    assert score_folder(product, cohort, tmp_path / "out", FEW, scoring_readers.moody).states["failed"] == 1
    tally = score_folder(product, cohort, tmp_path / "out", FEW)
    assert (tally.done_now, tally.states, tally.exit_code) == (1, {"scored": 13}, 0)


def test_what_failed_is_tried_again_on_request_only(product: Product, cohort: Path, tmp_path: Path) -> None:
    shutil.copy(next(cohort.rglob("*.dcm")), cohort / "bug.dcm")
    score_folder(product, cohort, tmp_path / "out", FEW, scoring_readers.moody)
    assert score_folder(product, cohort, tmp_path / "out", FEW).states["failed"] == 1
    tally = score_folder(product, cohort, tmp_path / "out", Options(2, 4, retry=True))
    assert (tally.done_now, tally.states, tally.exit_code) == (1, {"scored": 13}, 0)


@pytest.fixture
def started(product: Product, cohort: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A slow scoring in a process of its own that has written some of its rows."""
    product.to_folder(tmp_path / "model")
    script = Path(__file__).parent / "scoring_process.py"
    process = subprocess.Popen([sys.executable, script, tmp_path / "model", cohort, tmp_path / "out"])
    log = tmp_path / "out" / "ledger.sqlite-wal"
    end = time.monotonic() + TIME_LIMIT_S
    while not (log.exists() and log.stat().st_size > 10_000):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    yield process
    process.kill()


@pytest.mark.slow
def test_killed_in_the_middle_and_started_again_nothing_is_lost_and_nothing_stands_twice(
    product: Product, cohort: Path, tmp_path: Path, started: subprocess.Popen[bytes]
) -> None:
    started.kill()
    started.wait()
    tally = score_folder(product, cohort, tmp_path / "out", FEW)
    assert 0 < tally.done_now < 12, "the kill came too early or too late to prove anything"
    assert tally.states == {"scored": 12}
    score_folder(product, cohort, tmp_path / "uninterrupted", FEW)
    pd.testing.assert_frame_equal(findings(tmp_path / "out"), findings(tmp_path / "uninterrupted"))


def test_on_ctrl_c_the_tables_hold_what_was_scored(product: Product, cohort: Path, tmp_path: Path) -> None:
    def interrupt(tally: Tally) -> None:
        if tally.done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_folder(product, cohort, tmp_path / "out", FEW, progress=interrupt)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert len(findings(tmp_path / "out")) == summary["scored"] == 4
    assert (summary["to_do"], summary["found"]) == (8, 12)


def test_two_at_once_are_refused(product: Product, cohort: Path, tmp_path: Path) -> None:
    def second(tally: Tally) -> None:
        with pytest.raises(MedcnnError, match="another run is at work"):
            score_folder(product, cohort, tmp_path / "out", FEW)

    assert score_folder(product, cohort, tmp_path / "out", FEW, progress=second).exit_code == 0


def test_another_model_or_another_source_is_refused(product: Product, cohort: Path, tmp_path: Path) -> None:
    score_folder(product, cohort, tmp_path / "out", FEW)
    with pytest.raises(MedcnnError, match=r"another model.*fresh OUT"):
        score_folder(make_product(classes=("normal", "nodule")), cohort, tmp_path / "out", FEW)
    with pytest.raises(MedcnnError, match="another source"):
        score_folder(product, cohort / "patient 0", tmp_path / "out", FEW)


def test_one_file_is_a_source_and_shares_its_folders_ledger(product: Product, cohort: Path, tmp_path: Path) -> None:
    folder = cohort / "patient 0"
    score_folder(product, folder / "film0.dcm", tmp_path / "out", FEW)
    assert list(findings(tmp_path / "out").index) == ["film0.dcm"]
    assert score_folder(product, folder, tmp_path / "out", FEW).done_now == 3


def test_strange_files_are_all_accounted_for(product: Product, cohort: Path, tmp_path: Path) -> None:
    (cohort / "README.txt").write_text("no image")
    (cohort / "empty.dcm").touch()
    (cohort / "notes").touch()
    (cohort / "cut.dcm").write_bytes((cohort / "patient 0" / "film0.dcm").read_bytes()[:-500])
    (cohort / "fake.png").write_text("no image")
    (cohort / "broken link.dcm").symlink_to(cohort / "gone.dcm")
    (cohort / "loop").symlink_to(cohort, target_is_directory=True)
    os.mkfifo(cohort / "pipe")
    raw = os.fsencode(cohort)
    os.link(raw + b"/patient 0/film2.dcm", raw + b"/J\xfcrgen\nline,=1.dcm")
    os.link(raw + b"/patient 1/film4.dcm", raw + b"/=cmd|'calc'!A0.dcm")
    (cohort / os.fsdecode(b"n\xff.dcm")).write_text("no image")
    out = cohort / "out"
    tally = score_folder(product, cohort, out, FEW)
    assert tally.found == sum(tally.states.values()) == 22
    assert skipped(out) == {
        "README.txt": "not_an_image", "empty.dcm": "empty", "notes": "empty", "cut.dcm": "truncated",
        "fake.png": "not_an_image", "broken link.dcm": "unreadable", "pipe": "unreadable", r"n\xff.dcm": "not_an_image",
    }  # fmt: skip
    assert tally.states == {"scored": 14, "skipped": 1, "failed": 7}
    table = findings(out)
    assert r"J\xfcrgen\nline,=1.dcm" in table.index
    assert "'=cmd|'calc'!A0.dcm" in table.index
    again = score_folder(product, cohort, out, FEW)
    assert (again.found, again.scored_now) == (22, 0), "its own output must not be scanned"
    assert again.done_now == 2, "only what the file system refused is tried again"


def test_foreign_files_alone_do_not_make_a_run_incomplete(product: Product, cohort: Path, tmp_path: Path) -> None:
    (cohort / "README.txt").write_text("no image")
    tally = score_folder(product, cohort, tmp_path / "out", FEW)
    assert (tally.states["skipped"], tally.exit_code) == (1, 0)


def test_an_image_of_another_shape_than_trained_on_fails(cohort: Path, tmp_path: Path) -> None:
    unresized = make_product(preprocess=[])
    tally = score_folder(unresized, cohort / "patient 0", tmp_path / "out", FEW)
    assert tally.reasons == {"wrong_shape": 4}


def test_no_finding_is_ever_nan(product: Product, cohort: Path, tmp_path: Path) -> None:
    tally = score_folder(product, cohort / "patient 0", tmp_path / "out", FEW, scoring_readers.nan)
    assert tally.reasons == Counter(not_finite=4)


def test_mistakes_are_told_in_a_line_without_a_name(product: Product, cohort: Path, tmp_path: Path) -> None:
    (tmp_path / "void").mkdir()
    (tmp_path / "file").touch()
    film_in_time = make_product(provenance={"image_shape": [1, 4, 8, 8, 8]})
    sequences = make_product(provenance={"image_shape": [2, 8, 8, 8]})
    for given, source, out, match in (
        (product, tmp_path / "missing", tmp_path / "out", "nothing is at SOURCE"),
        (product, tmp_path / "void", tmp_path / "out", "no files"),
        (product, cohort, tmp_path / "file", "OUT is a file"),
        (product, cohort, cohort, "OUT is SOURCE itself"),
        (film_in_time, cohort, tmp_path / "out", "4 dimensions"),
        (sequences, cohort, tmp_path / "out", "2 sequences a case"),
    ):
        with pytest.raises(MedcnnError, match=match) as caught:
            score_folder(given, source, out, FEW)
        assert str(tmp_path) not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_empty_source_leaves_out_free_for_another(product: Product, cohort: Path, tmp_path: Path) -> None:
    (tmp_path / "void").mkdir()
    with pytest.raises(MedcnnError, match="no files"):
        score_folder(product, tmp_path / "void", tmp_path / "out", FEW)
    assert not (tmp_path / "out").exists()
    assert score_folder(product, cohort, tmp_path / "out", FEW).exit_code == 0


def test_a_preprocessing_outside_the_allow_list_is_refused(cohort: Path, tmp_path: Path) -> None:
    hostile = make_product(preprocess=[{"class_path": "os.system", "init_args": {"command": "true"}}])
    with pytest.raises((CheckpointError, MedcnnError), match="allow-list"):
        score_folder(hostile, cohort, tmp_path / "out", FEW)


def test_what_is_written_is_for_its_owner_alone(product: Product, cohort: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    mask = os.umask(0)
    try:
        score_folder(product, cohort, out, FEW)
    finally:
        os.umask(mask)
    assert out.stat().st_mode & 0o777 == 0o700
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in out.iterdir()} == dict.fromkeys(
        ("findings.csv", "findings.parquet", "skipped.csv", "summary.json", "ledger.lock", "ledger.sqlite"), "0o600"
    )


def test_a_link_that_waits_in_out_is_not_followed(product: Product, cohort: Path, tmp_path: Path) -> None:
    out, bait = tmp_path / "out", tmp_path / "bait"
    out.mkdir()
    for name in ("findings.csv", ".findings.csv.partial", "ledger.sqlite"):
        (out / name).symlink_to(bait)
    with pytest.raises(MedcnnError, match="OUT cannot be written"):
        score_folder(product, cohort, out, FEW)
    (out / "ledger.sqlite").unlink()
    score_folder(product, cohort, out, FEW)
    assert not bait.exists()
    assert not (out / "findings.csv").is_symlink()


def test_a_scorer_scores_one_film_as_a_folder_does(product: Product, cohort: Path, tmp_path: Path) -> None:
    score_folder(product, cohort, tmp_path / "out", FEW)
    scorer = Scorer.from_product(product)
    alone = scorer.score_film(read_film(cohort / "patient 0" / "film0.dcm"))
    row = pd.read_parquet(tmp_path / "out" / "findings.parquet").set_index("path").loc["patient 0/film0.dcm"]
    assert alone[1].item() == row["probability/effusion"]
    assert scorer.digest == row["model"]


def test_without_a_stored_threshold_nothing_is_called(cohort: Path, tmp_path: Path) -> None:
    score_folder(make_product(decision=None), cohort / "patient 0", tmp_path / "out", FEW)
    assert set(findings(tmp_path / "out")["call"]) == {""}


def test_the_last_progress_is_the_whole(product: Product, cohort: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    tally: Tally = score_folder(product, cohort, tmp_path / "out", FEW, progress=lambda now: seen.append(now.done))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, tally.found)


def test_pydicoms_own_files_are_all_accounted_for(product: Product, tmp_path: Path) -> None:
    import pydicom.data

    data_store = pytest.importorskip("data_store", reason="needs pydicom-data")
    source = tmp_path / "source"
    source.mkdir()
    for name, module in (("pydicom", pydicom.data), ("pydicom-data", data_store)):
        shutil.copytree(Path(module.__file__).parent, source / name, copy_function=os.symlink)
    tally = score_folder(product, source, tmp_path / "out", Options(2, 4, timeout_s=120))
    listed = list(list_files(source, source, tmp_path / "out"))
    rows = pd.read_csv(tmp_path / "out" / "skipped.csv")
    assert tally.found == len(listed) == sum(tally.states.values()) == len(findings(tmp_path / "out")) + len(rows)
    assert tally.found > 150
    assert tally.states["scored"] > 50
    assert set(tally.reasons) <= set(REASONS)
    assert not {"decoder_crashed", "timeout", "prepare_failed"} & set(tally.reasons)
