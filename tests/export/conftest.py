"""A finished run, its exports, and what transformers makes of them in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from handmade_run import TASKS, make_run

from stackbert.export.folder import export


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder, with the exports of the recipe `grown` in it."""
    results = make_run(tmp_path_factory.mktemp("run") / "results")
    shared = {
        "codes": str(results / "bpe" / "codes"),
        "dictionary": str(results / "bin" / "dict.txt"),
        "curve": str(results / "pretrain" / "grown" / "curve.tsv"),
        "corpus": str(results / "tables" / "corpus.tsv"),
        "glue": str(results / "tables" / "glue.tsv"),
    }
    folder = results / "export" / "grown"
    checkpoint = results / "pretrain" / "grown" / "L2" / "checkpoint.pt"
    export("grown", None, shared | {"models": [str(checkpoint)]}, folder)
    for task in TASKS:
        models = [
            str(results / "glue" / "grown" / task / f"seed{seed}" / "model.pt") for seed in (1, 2)
        ]
        export("grown", task, shared | {"models": models}, folder / task)
    return results


@pytest.fixture(scope="session")
def loaded(results: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What tests/export/load_exports.py saw: it has neither this package nor a network."""
    work = tmp_path_factory.mktemp("elsewhere")
    command = [sys.executable, str(Path(__file__).with_name("load_exports.py"))]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"HF_HOME": str(work / "cache"), "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [*command, str(results / "export" / "grown"), str(work / "seen.json")],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
    )
    if run.returncode == 77:
        pytest.skip(run.stdout.strip())
    assert run.returncode == 0, run.stderr[-4000:]
    return json.loads((work / "seen.json").read_text(encoding="utf-8"))
