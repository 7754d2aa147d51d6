"""The plug-in under the real fairseq-train: the loss falls, a stopped run continues exactly."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from stackbert.checkpoint import load_checkpoint, updates_done
from stackbert.curves import join_curves
from stackbert.errors import UserError
from stackbert.pretrain import grow_stage, train_stage

CONFIG = {
    "model": {
        "width": 32,
        "heads": 2,
        "feed_forward": 64,
        "dropout": 0.1,
        "attention_dropout": 0.1,
    },
    "pretrain": {
        "max_positions": 32,
        "tokens_per_update": 1024,
        "tokens_per_batch": 512,
        "mask_probability": 0.15,
        "betas": [0.9, 0.999],
        "eps": 1e-6,
        "weight_decay": 0.01,
        "clip_norm": 0.0,
        "validate_every": 10,
        "checkpoint_every": 10,
        "log_every": 5,
    },
    "seed": 1,
    "threads": 1,
    "device": "cpu",
}
STAGE = {"layers": 1, "updates": 30, "lr": [[0, 1e-4], [5, 1e-2], [30, 1e-3]], "seed": 2}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Binarized text whose words count upwards from a random start, so there is much to learn."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for split, documents in (("train", 200), ("valid", 20)):
        with open(folder / split, "w", encoding="utf-8") as file:
            for _ in range(documents):
                for start in rng.integers(0, 30, rng.integers(2, 5)):
                    file.write(" ".join(f"w{start + i}" for i in range(rng.integers(4, 10))) + "\n")
                file.write("\n")
    command = [sys.executable, "-m", "fairseq_cli.preprocess", "--only-source"]
    files = ["--trainpref", str(folder / "train"), "--validpref", str(folder / "valid")]
    subprocess.run(
        [*command, *files, "--destdir", str(folder / "bin"), "--padding-factor", "1"],
        check=True,
        capture_output=True,
    )
    return folder / "bin"


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stage trained without interruption."""
    folder = tmp_path_factory.mktemp("trained")
    output = folder / "checkpoint.pt"
    train_stage(CONFIG, STAGE, str(data), None, str(output), str(folder / "log"), "test")
    return output


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(path)["model"]


def assert_same(first: Path, second: Path) -> None:
    one, other = weights(first), weights(second)
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def test_loss_falls_and_nothing_but_the_results_is_left(trained: Path) -> None:
    curve = pd.read_csv(trained.parent / "curve.tsv", sep="\t")
    assert list(curve["update"]) == [10, 20, 30]
    assert curve["valid_mlm_loss"].iloc[-1] < curve["valid_mlm_loss"].iloc[0] - 0.05
    assert (curve["tokens"].diff().dropna() > 0).all()
    assert (curve["seconds"].diff().dropna() > 0).all()
    assert sorted(path.name for path in trained.parent.iterdir()) == [
        "checkpoint.pt",
        "curve.tsv",
        "log",
    ]
    assert updates_done(load_checkpoint(trained)) == 30


def test_tokens_per_update_are_those_of_the_config(trained: Path) -> None:
    tokens = pd.read_csv(trained.parent / "curve.tsv", sep="\t")["tokens"].iloc[-1]
    # Batches are filled up to the limit but never over it.
    assert 0.7 < tokens / (30 * 1024) <= 1.0


def test_same_config_gives_the_same_bits_and_a_killed_run_continues(
    data: Path, trained: Path, tmp_path: Path
) -> None:
    script = (
        "import json, sys; from stackbert.pretrain import train_stage; "
        "train_stage(*json.loads(sys.argv[1]))"
    )
    output = tmp_path / "checkpoint.pt"
    arguments = [CONFIG, STAGE, str(data), None, str(output), str(tmp_path / "log"), "test"]
    process = subprocess.Popen(
        [sys.executable, "-c", script, json.dumps(arguments)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )
    for line in process.stderr:
        if "update 15/30" in line:
            # The whole group: the launcher and the training process, as a power cut would.
            os.killpg(process.pid, signal.SIGKILL)
            break
    process.wait()
    assert not output.exists() and (tmp_path / "rolling" / "checkpoint_last.pt").exists()
    # A torn newest checkpoint is passed over as well.
    last = tmp_path / "rolling" / "checkpoint_last.pt"
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    train_stage(*arguments)
    assert "Loaded checkpoint" in (tmp_path / "log").read_text()
    assert_same(trained, output)
    columns = ["update", "tokens", "valid_mlm_loss"]
    one, other = (
        pd.read_csv(path.parent / "curve.tsv", sep="\t")[columns] for path in (trained, output)
    )
    pd.testing.assert_frame_equal(one, other)


def test_rolling_checkpoint_of_other_settings_is_not_continued(
    data: Path, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "rolling").mkdir()
    shutil.copy(trained, tmp_path / "rolling" / "checkpoint_last.pt")
    (tmp_path / "rolling" / "identity.json").write_text("{}")
    stage = STAGE | {"updates": 10, "lr": [[0, 1e-3], [10, 1e-3]]}
    output = tmp_path / "checkpoint.pt"
    train_stage(CONFIG, stage, str(data), None, str(output), str(tmp_path / "log"), "test")
    assert updates_done(load_checkpoint(output)) == 10


def test_growing_and_the_joined_curve(data: Path, trained: Path, tmp_path: Path) -> None:
    grown, timing = tmp_path / "grown.pt", tmp_path / "growth.json"
    grow_stage(str(trained), str(grown), str(timing), 1, 2, "stack", 1)
    stage = {"layers": 2, "updates": 10, "lr": [[0, 1e-3], [10, 1e-3]], "seed": 2, "grow": "stack"}
    output = tmp_path / "checkpoint.pt"
    train_stage(CONFIG, stage, str(data), str(grown), str(output), str(tmp_path / "log"), "test")
    shallow = trained.parent / "curve.tsv"
    join_curves(
        [STAGE, stage],
        [str(shallow), str(tmp_path / "curve.tsv")],
        [str(timing)],
        str(tmp_path / "joined.tsv"),
    )
    joined = pd.read_csv(tmp_path / "joined.tsv", sep="\t")
    assert list(joined["stage"]) == ["L1"] * 3 + ["L2"]
    assert list(joined["update"]) == [10, 20, 30, 10]
    assert joined["tokens"].is_monotonic_increasing and joined["seconds"].is_monotonic_increasing
    own = pd.read_csv(tmp_path / "curve.tsv", sep="\t")["seconds"].iloc[-1]
    growth = json.loads(timing.read_text())["seconds"]
    assert joined["seconds"].iloc[3] == pytest.approx(joined["seconds"].iloc[2] + growth + own)
    # The grown model starts from what the shallow one knew.
    assert joined["valid_mlm_loss"].iloc[3] < joined["valid_mlm_loss"].iloc[0]


@pytest.mark.parametrize("cut", [0, 100, -100])
def test_truncated_checkpoint_is_refused(trained: Path, tmp_path: Path, cut: int) -> None:
    torn = tmp_path / "torn.pt"
    torn.write_bytes(trained.read_bytes()[:cut])
    with pytest.raises(UserError, match=r"torn\.pt is truncated or no checkpoint"):
        grow_stage(
            str(torn), str(tmp_path / "grown.pt"), str(tmp_path / "t.json"), 1, 2, "stack", 1
        )
    assert not (tmp_path / "grown.pt").exists()


def test_missing_and_foreign_checkpoints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.pt is missing"):
        load_checkpoint(tmp_path / "none.pt")
    torch.save({"model": {"layers.0.weight": torch.zeros(1)}}, tmp_path / "foreign.pt")
    with pytest.raises(UserError, match="another architecture"):
        grow_stage(
            str(tmp_path / "foreign.pt"), str(tmp_path / "g"), str(tmp_path / "t"), 1, 2, "stack", 1
        )


class _Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('code of a checkpoint ran')",))


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    torch.save({"model": _Malicious()}, tmp_path / "bad.pt")
    with pytest.raises(UserError, match="no checkpoint"):
        load_checkpoint(tmp_path / "bad.pt")


def test_initial_weights_of_another_shape_are_refused(
    data: Path, trained: Path, tmp_path: Path
) -> None:
    stage = STAGE | {"layers": 2}
    with pytest.raises(UserError, match=r"has 1 layers of width 32, the stage needs 2"):
        train_stage(
            CONFIG, stage, str(data), str(trained), str(tmp_path / "c.pt"), str(tmp_path / "l"), "t"
        )


def test_a_loss_that_explodes_stops_with_advice(data: Path, tmp_path: Path) -> None:
    stage = STAGE | {"lr": [[0, 1e30], [30, 1e30]]}
    with pytest.raises(UserError, match="lower the learning rate"):
        train_stage(
            CONFIG, stage, str(data), None, str(tmp_path / "c.pt"), str(tmp_path / "log"), "test"
        )
    assert not (tmp_path / "c.pt").exists()


def test_two_processes_give_the_loss_of_one(data: Path, tmp_path: Path) -> None:
    """The same batches make up an update; without dropout only the order of sums differs."""
    still = {"dropout": 0.0, "attention_dropout": 0.0}
    stage = STAGE | {"updates": 10, "lr": [[0, 1e-3], [10, 1e-3]]}
    curves = []
    for devices in (1, 2):
        pretrain = CONFIG["pretrain"] | {"devices": devices, "validate_every": 5}
        config = CONFIG | {"model": CONFIG["model"] | still, "pretrain": pretrain}
        output = tmp_path / str(devices) / "checkpoint.pt"
        output.parent.mkdir()
        log = output.with_name("log")
        train_stage(config, stage, str(data), None, str(output), str(log), "test")
        assert f"training on {devices} devices" in log.read_text()
        curves.append(pd.read_csv(output.with_name("curve.tsv"), sep="\t"))
    one, two = (curve.drop(columns="seconds") for curve in curves)
    assert list(one["update"]) == [5, 10]
    pd.testing.assert_frame_equal(one, two, rtol=0, atol=1e-4)
