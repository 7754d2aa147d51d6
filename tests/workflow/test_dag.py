"""The real DAG on a tiny configuration: what it writes, what reruns, that it repeats bit by bit."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
import torch
import yaml

from stackbert.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from tests.workflow.conftest import Copy

NOTHING = "Nothing to be done"


def jobs(dry_run: str) -> dict[str, int]:
    """Jobs by rule, from the table that a dry run prints."""
    table = re.search(r"Job stats:\n.*?\n-.*?\n(.*?)\n\n", dry_run, re.DOTALL)
    rows = [line.split() for line in table[1].splitlines()] if table else []
    return {rule: int(count) for rule, count in rows if rule != "total"}


def test_stable_interface(finished: "Copy") -> None:
    results = finished.folder / "results"
    assert {path.name for path in (results / "bin").iterdir()} == {
        "counts.json",
        "dict.txt",
        "train.bin",
        "train.idx",
        "valid.bin",
        "valid.idx",
    }
    for recipe, stages in {"stacking": ["L1", "L2"], "scratch": ["L2"]}.items():
        for stage in stages:
            folder = results / "pretrain" / recipe / stage
            assert (folder / "checkpoint.pt").exists()
            run = json.loads((folder / "run.json").read_text())
            assert {"config", "versions", "commit", "seed"} <= run.keys()
            assert not (folder / "rolling").exists()
        curve = pd.read_csv(results / "pretrain" / recipe / "curve.tsv", sep="\t")
        assert list(curve) == [
            "stage",
            "layers",
            "update",
            "tokens",
            "seconds",
            "train_loss",
            "valid_mlm_loss",
        ]
        assert list(curve["stage"].unique()) == stages
        for task in ("STS-B", "RT"):
            for seed in (1, 2):
                folder = results / "glue" / recipe / task / f"seed{seed}"
                scores = json.loads((folder / "scores.json").read_text())
                assert scores["metrics"]
                assert (folder / "predictions.tsv").exists() and (folder / "run.json").exists()
    glue = pd.read_csv(results / "tables" / "glue.tsv", sep="\t")
    assert list(glue)[:7] == ["recipe", "task", "metric", "seeds", "median", "min", "max"]
    times = pd.read_csv(results / "tables" / "time_to_loss.tsv", sep="\t")
    assert list(times)[:6] == ["recipe", "target_loss", "seconds", "updates", "tokens", "speedup"]
    assert list((results / "figures").glob("*.svg"))


def test_second_run_does_nothing(finished: "Copy") -> None:
    run = finished.snakemake("--cores", "2")
    assert run.returncode == 0 and NOTHING in run.stdout, run.stdout[-3000:]


def test_comment_and_readme_rerun_nothing(finished: "Copy") -> None:
    for script in (finished.folder / "workflow" / "scripts").glob("*.py"):
        script.write_text(script.read_text() + "# a comment\n")
    (finished.folder / "README.md").touch()
    run = finished.snakemake("-n")
    assert NOTHING in run.stdout, run.stdout[-3000:]


def test_changed_stage_reruns_it_and_what_follows(finished: "Copy") -> None:
    tiny = yaml.safe_load((finished.folder / "tiny.yaml").read_text())
    stage = tiny["recipes"]["stacking"][1]
    stage |= {"updates": 12, "lr": [[0, 1.0e-3], [12, 1.0e-6]]}
    (finished.folder / "changed.yaml").write_text(yaml.safe_dump(tiny))  # keys in another order
    run = finished.snakemake("-n", configs=["changed.yaml"])
    again = jobs(run.stdout)
    assert again["train_stage"] == 1 and "stack" not in again, run.stdout[-5000:]
    assert not {"download_dump", "extract", "learn_bpe", "binarize"} & again.keys()
    # Two tasks with two seeds, of the changed recipe only.
    assert again["glue_finetune"] == 4


def test_same_config_gives_the_same_weights_and_scores(finished: "Copy") -> None:
    results = finished.folder / "results"
    checkpoint = results / "pretrain" / "scratch" / "L2" / "checkpoint.pt"
    run = results / "glue" / "scratch" / "STS-B" / "seed1"
    before = load_checkpoint(checkpoint)["model"]
    scores, predictions = ((run / name).read_bytes() for name in ("scores.json", "predictions.tsv"))
    targets = [str(path.relative_to(finished.folder)) for path in (checkpoint, run / "scores.json")]
    again = finished.snakemake(*targets, "--cores", "2", "--forcerun", *targets)
    assert again.returncode == 0, again.stdout[-3000:]
    after = load_checkpoint(checkpoint)["model"]
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert (run / "predictions.tsv").read_bytes() == predictions
    assert _metrics(run / "scores.json") == json.loads(scores)["metrics"]


def _metrics(path: Path) -> dict[str, float]:
    return json.loads(path.read_text())["metrics"]


@pytest.mark.parametrize(
    ("configs", "trained", "stacked"),
    [([], 4, 2), (["configs/bert_base.yaml"], 4, 2), (["configs/growing.yaml"], 6, 3)],
)
def test_dry_run_of_a_fresh_copy_resolves(
    copy: "Copy", configs: list[str], trained: int, stacked: int
) -> None:
    run = copy.snakemake("-n", configs=configs)
    assert run.returncode == 0, run.stdout[-3000:]
    planned = jobs(run.stdout)
    assert planned["train_stage"] == trained and planned["stack"] == stacked
    assert not (copy.folder / "results").exists()


def test_a_recipe_of_an_overlay_shares_what_those_of_the_default_train(copy: "Copy") -> None:
    stages = yaml.safe_load((copy.folder / "config.yaml").read_text())["recipes"]["stacking"]
    late = [stages[0], stages[2] | {"updates": 100, "lr": [[0, 1e-3], [100, 0]]}]
    (copy.folder / "late.yaml").write_text(yaml.safe_dump({"recipes": {"late": late}}))
    run = copy.snakemake("-n", "pretrain", configs=["late.yaml"])
    assert run.returncode == 0, run.stdout[-3000:]
    assert jobs(run.stdout)["train_stage"] == 5
    assert "pretrain/stacking/L3" in run.stdout and "pretrain/late/L3" not in run.stdout


def test_targets(copy: "Copy") -> None:
    for target in ("all", "data", "pretrain", "glue", "compare"):
        run = copy.snakemake("-n", target)
        assert run.returncode == 0, run.stdout[-3000:]
        assert ("train_stage" in jobs(run.stdout)) == (target != "data")


def test_any_depths_that_divide_each_other(copy: "Copy") -> None:
    tiny = yaml.safe_load((copy.folder / "tiny.yaml").read_text())
    tiny["recipes"]["deep"] = [
        {"layers": layers, "updates": 5, "lr": [[0, 0.001], [5, 0.001]], "seed": 1}
        | ({"grow": "stack"} if number else {})
        for number, layers in enumerate((2, 8, 24))
    ]
    (copy.folder / "deep.yaml").write_text(yaml.safe_dump(tiny, sort_keys=False))
    run = copy.snakemake("-n", "pretrain", configs=["deep.yaml"])
    assert run.returncode == 0 and jobs(run.stdout)["train_stage"] == 6, run.stdout[-3000:]


def test_comparison_shares_what_arms_have_in_common(copy: "Copy") -> None:
    tiny = yaml.safe_load((copy.folder / "tiny.yaml").read_text())
    late = {"schedule": "wsd", "budget": 40, "peak": 0.001, "warmup": 2, "rewarm": 2, "decay": 0.2}
    for operator in ("stack", "masked"):
        deep = {"layers": 4, "grow": operator} | (
            {"mask_updates": 3} if operator != "stack" else {}
        )
        tiny["recipes"][operator] = late | {"stages": [{"layers": 2, "share": 0.5}, deep]}
    tiny["compare"] = {"arms": ["scratch", "stack", "masked"], "seeds": [1, 2]}
    tiny["glue"]["tasks"] = []
    (copy.folder / "compare.yaml").write_text(yaml.safe_dump(tiny, sort_keys=False))
    run = copy.snakemake("-n", "compare", configs=["compare.yaml"])
    found = jobs(run.stdout)
    # Per seed the control's stage, one first stage for both arms, and two second stages.
    assert found["train_stage"] == 2 * 4 and found["stack"] == 2 * 2, run.stdout[-3000:]
    assert found["comparison"] == found["unigram"] == 1 and found["curve"] == 6
    assert "pretrain/stack-seed1/L2/checkpoint.pt" in run.stdout
    assert "pretrain/masked-seed1/L2/" not in run.stdout
    assert "comparison" not in jobs(copy.snakemake("-n", "compare").stdout)


def test_lint(copy: "Copy") -> None:
    run = copy.snakemake("--lint")
    assert run.returncode == 0, run.stdout[-3000:]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("model={width: x}", r"error: config key model\.width: given \"x\", allowed type integer"),
        ("modle={}", r"error: config key modle is unknown, allowed: results, seed"),
        ("threads=0", r"error: config key threads: given 0, allowed at least 1"),
    ],
)
def test_wrong_configuration_is_one_line_before_any_job(
    copy: "Copy", key: str, message: str
) -> None:
    run = copy.snakemake("--cores", "1", "--config", key)
    assert run.returncode != 0
    assert re.search(message, run.stdout) and "Traceback" not in run.stdout
    assert not (copy.folder / "results").exists()


def test_unwritable_results_folder(copy: "Copy") -> None:
    (copy.folder / "file").write_text("in the way")
    run = copy.snakemake("--cores", "1", "data", "--config", "results=file/results")
    assert run.returncode != 0
    assert "file/results" in run.stdout and (copy.folder / "file").read_text() == "in the way"
