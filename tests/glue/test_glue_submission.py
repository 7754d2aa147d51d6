"""The submission: exact names, headers, row counts and labels, and nothing else."""

import json
import zipfile
from pathlib import Path

import pytest

from stackbert.errors import UserError
from stackbert.glue.submission import HEADER, wanted, write_submission, zip_submission

FILES = {
    "CoLA.tsv": 1063,
    "SST-2.tsv": 1821,
    "MRPC.tsv": 1725,
    "STS-B.tsv": 1379,
    "QQP.tsv": 390965,
    "MNLI-m.tsv": 9796,
    "MNLI-mm.tsv": 9847,
    "QNLI.tsv": 5463,
    "RTE.tsv": 3000,
    "WNLI.tsv": 146,
    "AX.tsv": 1104,
}


def write_run(folder: Path, owner: str, seed: int, score: float, label: str | None = None) -> str:
    """A run's scores and test predictions, official numbers of rows, of one label."""
    run = folder / owner / f"seed{seed}"
    run.mkdir(parents=True)
    scores = {"task": owner, "seed": seed, "metrics": {"first": score, "second": 1.0}}
    (run / "scores.json").write_text(json.dumps(scores))
    lines = ["task\tindex\tprediction"]
    for task in wanted():
        if (task.predicted_by or task.name) == owner:
            value = label or (task.labels[0] if task.labels else "5.7")
            rows = task.splits["test"].rows[0]
            lines += [f"{task.name}\t{index}\t{value}" for index in range(rows)]
    (run / "test.tsv").write_text("\n".join(lines) + "\n")
    return str(run)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """One run of every task that is trained."""
    folder = tmp_path_factory.mktemp("runs")
    owners = dict.fromkeys(task.predicted_by or task.name for task in wanted())
    return [write_run(folder, owner, 1, 0.5) for owner in owners]


def test_eleven_files_with_the_official_rows(runs: list[str], tmp_path: Path) -> None:
    write_submission(runs, str(tmp_path / "files"), str(tmp_path / "choice.json"))
    zip_submission(str(tmp_path / "files"), str(tmp_path / "submission.zip"))
    with zipfile.ZipFile(tmp_path / "submission.zip") as archive:
        assert sorted(archive.namelist()) == sorted(FILES)
        for name, rows in FILES.items():
            lines = archive.read(name).decode().splitlines()
            assert lines[0] == HEADER and len(lines) == rows + 1
            assert lines[1].startswith("0\t") and lines[-1].startswith(f"{rows - 1}\t")
        assert archive.read("STS-B.tsv").decode().splitlines()[1] == "0\t5.000"  # 5.7, clipped
        assert archive.read("MNLI-m.tsv").decode().splitlines()[1] == "0\tcontradiction"
    first = (tmp_path / "submission.zip").read_bytes()
    zip_submission(str(tmp_path / "files"), str(tmp_path / "again.zip"))
    assert (tmp_path / "again.zip").read_bytes() == first


def test_the_best_seed_on_dev_is_sent(runs: list[str], tmp_path: Path) -> None:
    better = [write_run(tmp_path / "runs", "RTE", 2, 0.6, "not_entailment")]
    worse = [write_run(tmp_path / "runs", "RTE", 3, 0.4)]
    write_submission([*worse, *runs, *better], str(tmp_path / "files"), str(tmp_path / "c.json"))
    assert (tmp_path / "files" / "RTE.tsv").read_text().splitlines()[1] == "0\tnot_entailment"
    assert json.loads((tmp_path / "c.json").read_text())["RTE"]["seed"] == 2


def test_a_task_without_run_is_refused(runs: list[str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no run of CoLA.*add it to glue\.tasks"):
        write_submission(runs[1:], str(tmp_path / "files"), str(tmp_path / "c.json"))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("RTE.tsv", lambda text: text.replace(HEADER, "id\tlabel"), "line 1: .* the server expect"),
        ("RTE.tsv", lambda text: text[: text.rindex("2999")], "has 2999 predictions, .* 3000"),
        (
            "RTE.tsv",
            lambda text: text.replace("0\te", "0\tE", 1),
            r"line 2: .*expected index 0 and",
        ),
        ("RTE.tsv", lambda text: text.replace("0\t", "7\t", 1), "line 2: .*expected index 0"),
        ("STS-B.tsv", lambda text: text.replace("5.000", "5.001", 1), "number from 0 to 5"),
        ("QNLI.tsv", None, r"QNLI\.tsv is missing"),
    ],
)
def test_wrong_files_are_not_zipped(
    runs: list[str], tmp_path: Path, name: str, change: object, message: str
) -> None:
    write_submission(runs, str(tmp_path / "files"), str(tmp_path / "c.json"))
    path = tmp_path / "files" / name
    if change:
        path.write_text(change(path.read_text()))
    else:
        path.unlink()
    with pytest.raises(UserError, match=message):
        zip_submission(str(tmp_path / "files"), str(tmp_path / "submission.zip"))
    assert not (tmp_path / "submission.zip").exists()


def test_a_file_too_many_is_refused(runs: list[str], tmp_path: Path) -> None:
    write_submission(runs, str(tmp_path / "files"), str(tmp_path / "c.json"))
    (tmp_path / "files" / "RT.tsv").write_text("")
    with pytest.raises(UserError, match=r"also has RT\.tsv"):
        zip_submission(str(tmp_path / "files"), str(tmp_path / "submission.zip"))
