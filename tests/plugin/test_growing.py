"""Growth options under the real fairseq-train: what they do, and that a stopped stage continues."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from stackbert.checkpoint import adam_moments, load_checkpoint
from stackbert.errors import UserError
from stackbert.growth import grow
from stackbert.pretrain import grow_stage, train_stage
from tests.plugin.test_train import CONFIG, assert_same, data, trained, weights

__all__ = ["data", "trained"]  # fixtures
DEEP = {"layers": 2, "updates": 24, "lr": [[0, 1e-3], [24, 1e-3]], "seed": 2, "grow": "stack"}
SCRIPT = (
    "import json, sys; from stackbert.pretrain import train_stage; "
    "train_stage(*json.loads(sys.argv[1]))"
)


def grown(trained: Path, folder: Path, operator: Any = "stack", **options: Any) -> str:
    output = folder / "grown.pt"
    grow_stage(str(trained), str(output), str(folder / "growth.json"), 1, 2, operator, 1, **options)
    return str(output)


def arguments(data: Path, init: str, folder: Path, **options: Any) -> list[Any]:
    """Those of train_stage for a deep stage with the given keys."""
    folder.mkdir(exist_ok=True)
    output = folder / "checkpoint.pt"
    return [CONFIG, DEEP | options, str(data), init, str(output), str(folder / "log"), "test"]


def interrupted(arguments: list[Any], update: int) -> None:
    """Train and kill the whole group of processes after `update`, then train on."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, json.dumps(arguments)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )
    for line in process.stderr or ():
        if f"update {update}/" in line:
            os.killpg(process.pid, signal.SIGKILL)
            break
    process.wait()
    assert (Path(arguments[4]).parent / "rolling" / "checkpoint_last.pt").exists()
    train_stage(*arguments)
    assert "Loaded checkpoint" in Path(arguments[5]).read_text()


@pytest.mark.parametrize(
    ("operator", "options"),
    [
        ("masked", {"mask_updates": 22}),
        ("stack", {"freeze": 21, "moments": "keep"}),
    ],
)
def test_a_killed_grown_stage_continues_exactly(
    data: Path, trained: Path, tmp_path: Path, operator: str, options: dict[str, Any]
) -> None:
    init = grown(trained, tmp_path, operator, moments=options.get("moments", "reset"))
    options = options | {"grow": operator}
    through = arguments(data, init, tmp_path / "through", **options)
    train_stage(*through)
    stopped = arguments(data, init, tmp_path / "stopped", **options)
    interrupted(stopped, 15)  # goes on from update 10: still masked or frozen
    assert_same(Path(through[4]), Path(stopped[4]))
    states = [load_checkpoint(run[4])["last_optimizer_state"] for run in (through, stopped)]
    torch.testing.assert_close(states[0], states[1], rtol=0, atol=0)


def test_frozen_layers_and_embeddings_keep_their_bits(
    data: Path, trained: Path, tmp_path: Path
) -> None:
    """In two processes, whose model is wrapped."""
    init = grown(trained, tmp_path, moments="keep")
    # The last update alone trains everything; at a rate of 0 it changes nothing.
    stage = {"updates": 16, "freeze": 15, "lr": [[0, 1e-3], [14, 1e-3], [15, 0], [16, 0]]}
    run = arguments(data, init, tmp_path / "run", moments="keep", **stage)
    run[0] = CONFIG | {"pretrain": CONFIG["pretrain"] | {"devices": 2}}
    train_stage(*run)
    before, after = weights(Path(init)), weights(Path(run[4]))
    for name, tensor in before.items():
        kept = name.startswith(("encoder.tokens", "encoder.segments", "encoder.layers.0."))
        assert torch.equal(tensor, after[name]) == kept, name
    steps = {name: int(m["step"]) for name, m in adam_moments(load_checkpoint(run[4])).items()}
    # 30 steps of the shallow stage; the new layer began anew
    assert steps["encoder.layers.0.up.weight"] == steps["encoder.tokens.weight"] == 30 + 1
    assert steps["encoder.mlm.dense.weight"] == 30 + 16
    assert steps["encoder.layers.1.up.weight"] == 16


def test_moments_follow_their_parameters_into_the_optimizer(
    data: Path, trained: Path, tmp_path: Path
) -> None:
    source = adam_moments(load_checkpoint(trained))
    assert source.keys() == weights(trained).keys()
    one = {"updates": 1, "lr": [[0, 1e-3], [1, 1e-3]]}
    found = {}
    for how in ("reset", "copy", "keep"):
        folder = tmp_path / how
        folder.mkdir()
        init = grown(trained, folder, moments=how)
        run = arguments(data, init, folder / "run", moments=how, **one)
        train_stage(*run)
        found[how] = adam_moments(load_checkpoint(run[4]))
    name = "encoder.layers.{}.up.weight"
    for how, steps in {"reset": (1, 1), "copy": (31, 31), "keep": (31, 1)}.items():
        assert tuple(int(found[how][name.format(n)]["step"]) for n in (0, 1)) == steps
    # After one update: .9 of the old first moment and .1 of a gradient that is the same in all.
    old = source[name.format(0)]["exp_avg"]
    fresh = found["reset"][name.format(1)]["exp_avg"]
    torch.testing.assert_close(found["copy"][name.format(1)]["exp_avg"], 0.9 * old + fresh)
    torch.testing.assert_close(found["keep"][name.format(1)]["exp_avg"], fresh)


def test_moments_need_those_of_the_shallow_stage(trained: Path, tmp_path: Path) -> None:
    bare = load_checkpoint(trained) | {"last_optimizer_state": None}
    torch.save(bare, tmp_path / "bare.pt")
    with pytest.raises(UserError, match=r"no Adam moments .*: choose moments: reset"):
        grown(tmp_path / "bare.pt", tmp_path, moments="copy")


def test_learned_growth_repeats_and_mixes(data: Path, trained: Path, tmp_path: Path) -> None:
    shallow = weights(trained)
    states = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        stage = DEEP | {"grow": "learned", "learn_updates": 3}
        training = {"stage": stage, "data": str(data), "config": CONFIG}
        states.append(weights(Path(grown(trained, folder, "learned", training=training))))
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())
    stacked = grow(shallow, 1, 2, "stack")
    assert states[0].keys() == stacked.keys()
    # One old layer: each new parameter is it times a coefficient near 1, and not all are 1 still.
    ratio = states[0]["encoder.layers.1.up.weight"] / stacked["encoder.layers.1.up.weight"]
    torch.testing.assert_close(ratio, torch.full_like(ratio, float(ratio.median())))
    assert 0.9 < float(ratio.median()) < 1.1 and abs(float(ratio.median()) - 1) > 1e-4
    assert torch.equal(states[0]["encoder.tokens.weight"], shallow["encoder.tokens.weight"])
    run = arguments(data, str(tmp_path / "1" / "grown.pt"), tmp_path / "run", grow="learned")
    train_stage(*run)
    assert json.loads((tmp_path / "1" / "growth.json").read_text())["seconds"] > 0


def test_the_best_of_several_operators_is_taken(data: Path, trained: Path, tmp_path: Path) -> None:
    operators = ["stack", "identity"]
    stage = DEEP | {"grow": operators, "fork_updates": 6, "lr": [[0, 0], [12, 3e-2], [24, 0]]}
    training = {"stage": stage, "data": str(data), "config": CONFIG}
    init = grown(trained, tmp_path, operators, training=training)
    told = json.loads((tmp_path / "growth.json").read_text())
    losses = told["candidates"]
    assert losses.keys() == set(operators) and losses["stack"] != losses["identity"]
    assert told["operator"] == min(losses, key=losses.get)
    chosen = grow(weights(trained), 1, 2, told["operator"], seed=1)
    assert all(torch.equal(tensor, chosen[name]) for name, tensor in weights(Path(init)).items())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grown.pt", "growth.json"]
    # The stage goes the way of the fork: the same loss after as many updates.
    pretrain = CONFIG["pretrain"] | {"validate_every": 6}
    run = arguments(data, init, tmp_path / "run", **{k: stage[k] for k in ("grow", "lr")})
    run[0] = CONFIG | {"pretrain": pretrain}
    train_stage(*run)
    curve = pd.read_csv(Path(run[4]).parent / "curve.tsv", sep="\t")
    assert curve["valid_mlm_loss"].iloc[0] == losses[told["operator"]]


def test_a_stage_ends_where_its_curve_is_flat(data: Path, tmp_path: Path) -> None:
    """At a rate of nearly 0 the loss does not fall: the stage ends at the fifth validation."""
    pretrain = CONFIG["pretrain"] | {"validate_every": 4}
    stage = {"layers": 1, "updates": 40, "lr": [[0, 1e-9], [40, 1e-9]], "seed": 1}
    files = [str(data), None, str(tmp_path / "checkpoint.pt"), str(tmp_path / "log"), "test"]
    config = CONFIG | {"pretrain": pretrain}
    ended = train_stage(config, stage | {"until_drop": 0.01}, *files)
    assert ended["updates"] == 20
    curve = pd.read_csv(tmp_path / "curve.tsv", sep="\t")
    assert list(curve["update"]) == [4, 8, 12, 16, 20]
    assert not (tmp_path / "rolling").exists()
