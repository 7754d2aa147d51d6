"""The summary of a failed run names step, cause, log and how to go on."""

from pathlib import Path

import pytest

from stackbert.errors import UserError, run_step, write_atomic
from stackbert.failures import summary

LOG = """\
[Mon Nov 23 05:51:23 2026]
Error in rule glue_finetune:
    message: None
    jobid: 28
    output: scores.json
    log: {log} (check log file(s) for error details)
RuleException:
Error in rule train_stage:
    message: None
    jobid: 2
    log: {other} (check log file(s) for error details)
Exiting because a job execution failed. Look above for error messages
"""


def test_summary(tmp_path: Path) -> None:
    log, other, run = (tmp_path / name for name in ("a.log", "b.log", "snakemake.log"))
    log.write_text("some output\nerror: RT: dev.tsv line 3 has 2 columns\n")
    run.write_text(LOG.format(log=log, other=other))
    assert summary(str(run)) == [
        f"glue_finetune failed: RT: dev.tsv line 3 has 2 columns (log: {log})",
        f"train_stage failed: it was stopped before it could say why (log: {other})",
        "Finished steps are kept: mend the cause and run the same command again.",
    ]


def test_a_retry_that_ended_well_is_no_failure(tmp_path: Path) -> None:
    run = tmp_path / "snakemake.log"
    run.write_text(LOG.format(log="a", other="b") + "Finished jobid: 2 (Rule: train_stage)\n")
    assert [line.split(" failed")[0] for line in summary(str(run))][:-1] == ["glue_finetune"]


def test_no_failure_no_lines(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("Nothing to be done\n")
    assert summary(str(tmp_path / "log")) == []


def test_step_reports_a_user_error_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def step() -> None:
        raise UserError("the dump\nhas no article")

    with pytest.raises(SystemExit) as stop:
        run_step(step, str(tmp_path / "log"))
    assert stop.value.code == 1
    assert capsys.readouterr().err == "error: the dump has no article\n"
    assert (tmp_path / "log").read_text() == "error: the dump has no article\n"


def test_counters_of_a_step_are_in_its_log(tmp_path: Path) -> None:
    run_step(lambda: {"lines": 3, "words": 40}, str(tmp_path / "log"))
    assert (tmp_path / "log").read_text().endswith("lines 3, words 40\n")


def test_a_step_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    left, other = tmp_path / "out[1].txt.123.tmp", tmp_path / "out1.txt.123.tmp"
    left.touch()
    other.touch()
    run_step(lambda: None, str(tmp_path / "log"), [str(tmp_path / "out[1].txt")])
    assert not left.exists() and other.exists()


def test_step_reports_a_full_disk_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def step() -> None:
        with open("/dev/full", "wb", buffering=0) as file:
            file.write(b"x")

    with pytest.raises(SystemExit):
        run_step(step, str(tmp_path / "log"), ["results/codes"])
    error = capsys.readouterr().err
    assert "results/codes: No space left on device. Free space" in error
    assert error.count("\n") == 1


def test_a_defect_keeps_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        run_step(lambda: 1 / 0, str(tmp_path / "log"))


def test_atomic_write_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "file"
    write_atomic(target, "old")
    with pytest.raises(TypeError):
        write_atomic(target, 3)  # type: ignore[arg-type]
    assert target.read_text() == "old"
    assert [path.name for path in target.parent.iterdir()] == ["file"]
