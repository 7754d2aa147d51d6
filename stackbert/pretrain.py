"""One stage of pre-training: from the configuration to a fairseq-train run and back."""

import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stackbert.checkpoint import load_checkpoint, save_initial, updates_done
from stackbert.errors import UserError, write_atomic
from stackbert.fairseq_cli import clock, common_arguments, fairseq_train
from stackbert.growth import depth, grow

LAST = "checkpoint_last.pt"
NEVER = str(10**9)  # an interval that no run reaches

Config = Mapping[str, Any]


def train_stage(
    config: Config, stage: Config, data: str, init: str | None, output: str, log: str, name: str
) -> None:
    """Train one stage on the binarized `data` and leave its checkpoint at `output`.

    `init` holds the weights to start from (None: random). `config` has the keys `model`,
    `pretrain`, `seed`, `threads` and `device`. Rolling checkpoints lie beside the output, and an
    interrupted run of the same stage goes on from the last whole one.
    """
    folder = Path(output).parent
    rolling = folder / "rolling"
    _claim(rolling, _identity(config, stage, data, init))
    done = _repair(rolling)
    print(f"{name}: {done} of {stage['updates']} updates done", file=sys.stderr, flush=True)
    if done < stage["updates"]:
        arguments = _arguments(config, stage, data, str(rolling))
        if init and not done:
            _check_initial(init, config, stage)
            arguments += ["--finetune-from-model", init]
        fairseq_train(arguments, log, name, config["threads"], _progress(stage["updates"]))
    result = load_checkpoint(rolling / LAST)
    if updates_done(result) != stage["updates"]:
        raise UserError(
            f"{name} ended after {updates_done(result)} of {stage['updates']} updates: see {log}"
        )
    os.replace(rolling / "curve.tsv", folder / "curve.tsv")
    os.replace(rolling / LAST, output)
    shutil.rmtree(rolling)


def grow_stage(
    shallow: str,
    output: str,
    timing: str,
    layers: int,
    to_layers: int,
    operator: str,
    seed: int,
) -> None:
    """Grow the checkpoint `shallow` and write the weights the next stage starts from.

    `seed` is for operators that draw. `timing` gets the seconds that growing took, as JSON: they
    count in the curve.
    """
    started = time.time()
    state = load_checkpoint(shallow)["model"]
    if not {"encoder.tokens.weight", "encoder.segments.weight"} <= state.keys():
        raise UserError(f"{shallow} is of another architecture: train its stage again")
    save_initial(output, grow(state, layers, to_layers, operator, seed))
    report = {"seconds": round(time.time() - started, 2), "operator": operator}
    write_atomic(timing, json.dumps(report | {"layers": layers, "to_layers": to_layers}) + "\n")


def _arguments(config: Config, stage: Config, data: str, rolling: str) -> list[str]:
    model, pretrain = config["model"], config["pretrain"]
    # tokens per update = tokens per batch x accumulated batches (x devices)
    accumulate = pretrain["tokens_per_update"] // pretrain["tokens_per_batch"]
    options: dict[str, Any] = {
        "--task": "stackbert_pretrain",
        "--arch": "stackbert",
        "--criterion": "stackbert_pretrain",
        "--layers": stage["layers"],
        "--width": model["width"],
        "--heads": model["heads"],
        "--feed-forward": model["feed_forward"],
        "--dropout": model["dropout"],
        "--attention-dropout": model["attention_dropout"],
        "--max-positions": pretrain["max_positions"],
        "--mask-probability": pretrain["mask_probability"],
        "--max-tokens": pretrain["tokens_per_batch"],
        "--required-batch-size-multiple": 1,
        "--update-freq": accumulate,
        "--optimizer": "fused_adamw",
        "--betas": json.dumps(list(pretrain["betas"])),
        "--eps": pretrain["eps"],
        "--weight-decay": pretrain["weight_decay"],
        "--clip-norm": pretrain["clip_norm"],
        "--lr": stage["lr"][0][1],
        "--lr-scheduler": "piecewise_linear",
        "--lr-points": json.dumps(stage["lr"]),
        "--max-update": stage["updates"],
        "--seed": stage["seed"],
        "--valid-seed": config["seed"],
        "--curve": os.path.join(rolling, "curve.tsv"),
        "--save-dir": rolling,
        "--save-interval-updates": pretrain["checkpoint_every"],
        "--keep-interval-updates": 1,
        "--validate-interval-updates": pretrain["validate_every"],
        "--validate-interval": NEVER,
        "--save-interval": NEVER,
        "--log-interval": pretrain["log_every"],
    }
    pairs = [str(part) for option in options.items() for part in option]
    return [data, *pairs, *common_arguments(config["device"], config["threads"])]


def _identity(config: Config, stage: Config, data: str, init: str | None) -> str:
    """What a rolling checkpoint belongs to: the settings and the very input files."""
    keys = ("model", "pretrain", "seed", "threads", "device")
    inputs = [Path(data) / "train.bin", Path(data) / "dict.txt", *([Path(init)] if init else [])]
    for path in inputs:
        if not path.is_file():
            raise UserError(f"{path} is missing: run snakemake, which makes it")
    files = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in inputs]
    settings = {key: config[key] for key in keys}
    return json.dumps({"stage": dict(stage), **settings, "files": files}, sort_keys=True)


def _claim(rolling: Path, identity: str) -> None:
    """Keep the rolling checkpoints of the same run, throw away those of another."""
    mark = rolling / "identity.json"
    if rolling.exists() and (not mark.exists() or mark.read_text() != identity):
        shutil.rmtree(rolling)
    if not rolling.exists():
        rolling.mkdir(parents=True)
        write_atomic(mark, identity)


def _repair(rolling: Path) -> int:
    """Make `checkpoint_last.pt` the newest whole checkpoint; return its number of updates."""
    by_age = sorted(rolling.glob("checkpoint_*.pt"), key=lambda path: -path.stat().st_mtime_ns)
    for path in [rolling / LAST, *by_age]:
        try:
            done = updates_done(load_checkpoint(path))
        except UserError:
            continue
        if path.name != LAST:
            shutil.copyfile(path, rolling / "repaired.tmp")
            os.replace(rolling / "repaired.tmp", rolling / LAST)
        return done
    for path in by_age:
        path.unlink()
    return 0


def _check_initial(init: str, config: Config, stage: Config) -> None:
    """Refuse weights of another shape before fairseq does so with a traceback."""
    state = load_checkpoint(init)["model"]
    width = state["encoder.tokens.weight"].shape[1]
    wanted = (stage["layers"], config["model"]["width"])
    if (depth(state), width) != wanted:
        raise UserError(
            f"{init} has {depth(state)} layers of width {width}, the stage needs {wanted[0]} of "
            f"width {wanted[1]}: delete it and run snakemake again"
        )


def _progress(updates: int) -> Any:
    first: tuple[float, int] | None = None

    def line(stats: dict[str, Any]) -> str:
        nonlocal first
        now, update = time.time(), int(stats["num_updates"])
        first = first or (now, update)
        speed = (update - first[1]) / (now - first[0]) if update > first[1] else 0.0
        left = f", {clock((updates - update) / speed)} left" if speed else ""
        return (
            f"update {update}/{updates} ({100 * update // updates} %), MLM loss "
            f"{float(stats['mlm_loss']):.3f}, {float(stats['wps']):,.0f} tokens/s{left}"
        )

    return line
