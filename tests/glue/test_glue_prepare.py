"""Task files to prepared tables."""

import json
from pathlib import Path

import pytest

from stackbert.errors import UserError
from stackbert.glue import tasks
from stackbert.glue.prepare import prepare, read_prepared

SPLITS = ("train", "dev", "test")


def outputs(folder: Path) -> dict[str, str]:
    return {s: str(folder / f"{s}.tsv") for s in SPLITS} | {"counts": str(folder / "counts.json")}


def write_rte(folder: Path) -> None:
    folder.mkdir()
    header = "index\tsentence1\tsentence2\tlabel\n"
    (folder / "train.tsv").write_text(header + "0\tA b\t C\tentailment\n")
    (folder / "dev.tsv").write_text(header + "5\tD\tE\tnot_entailment\n")


def test_tables_and_counts(tmp_path: Path) -> None:
    write_rte(tmp_path / "RTE")
    made = outputs(tmp_path / "out")
    prepare(tasks.task("RTE"), tmp_path / "RTE", str.lower, made, subset=True)
    assert read_prepared(made["train"]) == [
        {"index": "0", "first": "a b", "second": " c", "label": "entailment"}
    ]
    assert read_prepared(made["dev"])[0]["index"] == "5"
    assert read_prepared(made["test"]) == []  # no file: nothing to predict
    counts = json.loads(Path(made["counts"]).read_text())
    assert counts["train"] == {"rows": 1, "broken": 0, "empty": 0}


def test_only_keys_of_the_data_are_parameters() -> None:
    keys = tasks.data_keys("RTE")
    assert not {"epochs", "batch", "learning_rate"} & keys.keys()
    assert tasks.make_task("RTE", keys).splits == tasks.task("RTE").splits


def test_missing_folder_and_file_name_what_to_do(tmp_path: Path) -> None:
    made = outputs(tmp_path / "out")
    with pytest.raises(UserError, match=r"RTE is missing; set glue\.path"):
        prepare(tasks.task("RTE"), tmp_path / "RTE", str.lower, made, subset=True)
    write_rte(tmp_path / "RTE")
    (tmp_path / "RTE" / "dev.tsv").unlink()
    with pytest.raises(UserError, match=r"dev\.tsv is missing; put GLUE's file there"):
        prepare(tasks.task("RTE"), tmp_path / "RTE", str.lower, made, subset=True)


def test_paths_of_local_and_downloaded_files(tmp_path: Path) -> None:
    write_rte(tmp_path / "RTE")
    local, none = {"path": str(tmp_path)}, {"path": None}
    assert tasks.raw_files("RTE", local, "r") == [
        str(tmp_path / "RTE" / "train.tsv"),
        str(tmp_path / "RTE" / "dev.tsv"),
    ]
    assert tasks.raw_files("MNLI-mm", none, "r") == ["r/glue_raw/MNLI"]
    assert tasks.raw_folder("MNLI-mm", local, "r") == str(tmp_path / "MNLI")
