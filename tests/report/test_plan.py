"""`make plan`: its estimates against the real model, its warnings, and that it runs nothing."""

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stackbert.errors import UserError
from stackbert.flops import recipe_flops
from stackbert.model import Encoder, ModelConfig
from stackbert.report import estimate, plan
from tests.workflow.conftest import Copy


@pytest.fixture
def config() -> dict[str, Any]:
    return plan.resolve([])


def run_plan(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stackbert.report.plan", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_plan_names_stages_downloads_and_jobs_and_runs_none(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    done = run_plan(copy.folder, "--configfile", "tiny.yaml")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    rows = [line.split() for line in lines if line.startswith(("stacking", "scratch"))]
    assert [(row[0], row[1], row[-1]) for row in rows] == [
        ("stacking", "L1", "do"),
        ("stacking", "L2", "do"),
        ("scratch", "L2", "do"),
    ]
    # 20 updates of 1 layer and 10 of 2: less than twice the speed of 30 of 2
    ceiling = next(line for line in lines if line.startswith("Ceiling"))
    assert ceiling.endswith("x.") and 1 < float(ceiling.split()[-1][:-2]) < 1.5
    assert any("gensim==4.4.0" in line for line in lines)
    assert any(line.startswith("Jobs still to do:") for line in lines)
    assert not (copy.folder / "results").exists()


def test_wrong_arguments_are_one_line(tmp_path: Path) -> None:
    done = run_plan(Copy(tmp_path).folder, "--configfile", "none.yaml")
    assert done.returncode != 0 and done.stdout == ""
    assert done.stderr.startswith("error: none.yaml") and done.stderr.count("\n") == 1
    with pytest.raises(UserError, match="config key threads: given 0"):
        plan.resolve(["--config", "threads=0"])


def test_parameters_are_those_of_the_model(config: dict[str, Any]) -> None:
    model = config["model"]
    shape = {key: model[key] for key in ("width", "heads", "feed_forward")}
    for layers in (1, 3):
        encoder = Encoder(
            ModelConfig(
                layers=layers, vocab_size=estimate.vocab_size(config), max_positions=64, **shape
            )
        )
        count = sum(parameter.numel() for parameter in encoder.parameters())
        assert estimate.parameters(config, layers) == pytest.approx(count, rel=0.05)


def test_the_full_recipe_is_bert_base() -> None:
    config = plan.resolve(["--configfile", "configs/bert_base.yaml"])
    assert estimate.parameters(config, 12) == pytest.approx(110e6, rel=0.02)
    assert estimate.disk_bytes(config)["corpus"] > 100e9
    recipes = config["recipes"]
    flops = {name: recipe_flops(config, stages) for name, stages in recipes.items()}
    assert flops["stacking"] == pytest.approx(flops["scratch"], rel=0.001)
    assert len(estimate.downloads(config)) == 10


def test_warns_of_too_little_disk_and_memory(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plan.warnings(config, 10**6) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    config["pretrain"]["tokens_per_batch"] = 10**9
    disk, memory = plan.warnings(config, 10**9)
    assert "0.9 GiB of disk needed, 0.0 GiB free" in disk
    assert "memory needed" in memory and "lower pretrain.tokens_per_batch" in memory


def test_table_is_aligned() -> None:
    assert plan.table([["a", "bb"], ["ccc", "d"]]) == "a    bb\nccc  d"
