"""Results that two folders share through Snakemake's cache."""

import os
from pathlib import Path

import pytest

from tests.workflow.conftest import Copy

CACHED = ("download_dump", "learn_bpe", "binarize", "stack", "train_stage")
TARGET = "results/pretrain/stacking/L2/checkpoint.pt"


def test_a_second_folder_takes_what_the_first_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(tmp_path / "cache"))
    made = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        copy = Copy(tmp_path / name)
        run = copy.snakemake("--cores", "2", TARGET, "--cache", *CACHED)
        assert run.returncode == 0, run.stdout[-5000:]
        for file in ("bpe/codes", "bin/train.bin", "pretrain/stacking/L1/checkpoint.pt"):
            assert os.path.islink(copy.folder / "results" / file)
        made.append(copy)
    first, second = made
    assert (second.folder / TARGET).samefile(first.folder / TARGET)
    log = "results/logs/train_stage/stacking.L2.log"
    assert "train_inner" in (first.folder / log).read_text()
    trained = second.folder / log
    assert not trained.exists() or "train_inner" not in trained.read_text()
    # With another seed only what depends on it is made again.
    run = second.snakemake("-n", TARGET, "--cache", *CACHED, "--config", "seed=2")
    assert "rule train_stage" in run.stdout and "rule learn_bpe" not in run.stdout
