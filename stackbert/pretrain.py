"""One stage of pre-training: from the configuration to a fairseq-train run and back."""

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from stackbert.checkpoint import adam_moments, load_checkpoint, save_initial, updates_done
from stackbert.errors import UserError, write_atomic
from stackbert.fairseq_cli import (
    Diverged,
    best_precision,
    common_arguments,
    fairseq_train,
    has_cuda,
    time_left,
)
from stackbert.growth import depth, grow, grow_moments, new_layers, origins
from stackbert.schedule import lr_until
from stackbert.stage_curve import is_flat, write_stage_curve

LAST = "checkpoint_last.pt"
DIVERGED_MARK = "diverged.txt"
# Keys of a stage for which its training must know how it was grown.
GROWING = {"moments", "mask_updates", "freeze"}
NEVER = str(10**9)  # an interval that no run reaches

Config = Mapping[str, Any]


def train_stage(
    config: Config,
    stage: Config,
    data: str,
    init: str | None,
    output: str,
    log: str,
    name: str,
    save_minutes: float = 0,
    mpi: str | None = None,
    tensorboard: str | None = None,
    updates_before: int = 0,
) -> dict[str, Any]:
    """Train one stage on the binarized `data` and leave its checkpoint at `output`.

    `init` holds the weights to start from (None: random). `config` has the keys `model`,
    `pretrain`, `seed`, `threads` and `device`. Rolling checkpoints lie beside the output, written
    at `pretrain.checkpoint_every`, every `save_minutes` (0: not) and before a stop by a signal; an
    interrupted run of the same stage goes on from the last whole one. `mpi` starts the processes
    of `pretrain.devices` on several nodes. `tensorboard` is a folder for the growing curve, whose
    steps count from `updates_before`. A stage with `until_drop` ends at the first validation where
    the curve is flat. Returns the stage with the updates it had. Raises UserError, and on every
    later call for the same stage, if the loss explodes.
    """
    folder = Path(output).parent
    rolling = folder / "rolling"
    _claim(rolling, _identity(config, stage, data, init))
    done = _repair(rolling)
    print(f"{name}: {done} of {stage['updates']} updates done", file=sys.stderr, flush=True)
    if done < stage["updates"] and not (done and _is_flat(load_checkpoint(rolling / LAST), stage)):
        arguments = _arguments(config, stage, data, str(rolling))
        arguments += ["--save-minutes", str(save_minutes)]
        if tensorboard:
            arguments += ["--tensorboard", tensorboard, "--updates-before", str(updates_before)]
        if init and (stage.keys() & GROWING):
            arguments += ["--grown", init]
        if init and not done:
            _check_initial(init, config, stage)
            arguments += ["--finetune-from-model", init]
        progress, devices = _progress(stage["updates"]), config["pretrain"].get("devices", 1)
        try:
            fairseq_train(arguments, log, name, config["threads"], progress, devices, mpi)
        except Diverged as error:
            _keep_good(rolling, str(error))
            raise
    result = load_checkpoint(rolling / LAST)
    if updates_done(result) != stage["updates"] and not _is_flat(result, stage):
        raise UserError(
            f"{name} ended after {updates_done(result)} of {stage['updates']} updates: see {log}"
        )
    # From the checkpoint, so that a kill between the following lines loses nothing.
    rows = result["extra_state"]["PretrainTask"]["rows"]
    write_stage_curve(folder / "curve.tsv", rows)
    os.replace(rolling / LAST, output)
    shutil.rmtree(rolling)
    return {**stage, "updates": updates_done(result)}


def _is_flat(checkpoint: dict[str, Any], stage: Config) -> bool:
    """Whether a stage that ends by its slope ended with this checkpoint."""
    rows, drop = checkpoint["extra_state"]["PretrainTask"]["rows"], stage.get("until_drop")
    ended = rows and rows[-1][0] == updates_done(checkpoint)
    return bool(drop and ended and is_flat(rows, drop))


def grow_stage(
    shallow: str,
    output: str,
    timing: str,
    layers: int,
    to_layers: int,
    operator: str | list[str],
    seed: int,
    moments: str = "reset",
    training: Config | None = None,
) -> None:
    """Grow the checkpoint `shallow` and write what the next stage starts from.

    `seed` is for operators that draw; `moments` says what becomes of Adam's (growth.MOMENTS). Of
    several operators the best is taken: each is trained for the stage's first `fork_updates`, and
    the lowest validation loss wins (LAG, 2406.02469). That and the operator learned need
    `training`: the `stage`, the binarized `data`, and a `config` as train_stage takes. `timing`
    gets the seconds that all this took, as JSON: they count in the curve.
    """
    started = time.time()
    checkpoint = load_checkpoint(shallow)
    state = checkpoint["model"]
    if not {"encoder.tokens.weight", "encoder.segments.weight"} <= state.keys():
        raise UserError(f"{shallow} is of another architecture: train its stage again")
    old = {} if moments == "reset" else adam_moments(checkpoint)

    def write(operator: str, path: str) -> None:
        if operator == "learned" and training:
            grown = _learned(state, training, str(Path(path).parent))
        else:
            grown = grow(state, layers, to_layers, operator, seed)
        growth: dict[str, Any] = {"new": new_layers(origins(layers, to_layers, operator))}
        if old:
            growth["moments"] = grow_moments(old, layers, to_layers, operator, moments)
        save_initial(path, grown, growth)

    report: dict[str, Any] = {}
    if isinstance(operator, list):
        losses = _fork(operator, write, training or {}, Path(output).parent / "fork")
        operator, report["candidates"] = min(operator, key=losses.__getitem__), losses
    write(operator, output)
    report |= {"operator": operator, "layers": layers, "to_layers": to_layers}
    report["seconds"] = round(time.time() - started, 2)
    write_atomic(timing, json.dumps(report) + "\n")


def _learned(state: Any, training: Config, folder: str) -> Any:
    """Weights grown by the operator learned; one process does it, whatever will train the stage."""
    from stackbert_fairseq.learning import learn_mix

    config, stage = training["config"], training["stage"]
    config = config | {"pretrain": config["pretrain"] | {"devices": 1}}
    arguments = _arguments(config, stage, training["data"], folder)
    return learn_mix(state, arguments, stage["learn_updates"], config["threads"])


def _fork(
    operators: list[str], write: Callable[[str, str], None], training: Config, folder: Path
) -> dict[str, float]:
    """Validation loss of each operator after the first updates of the stage."""
    config, stage = training["config"], training["stage"]
    updates = stage["fork_updates"]
    losses = {}
    for operator in operators:
        home = folder / operator
        home.mkdir(parents=True, exist_ok=True)
        write(operator, str(home / "grown.pt"))
        trial = {**stage, "updates": updates, "lr": lr_until(stage["lr"], updates)}
        files = (str(home / "grown.pt"), str(home / "checkpoint.pt"), str(home / "log"))
        init, output, log = files
        train_stage(config, trial, training["data"], init, output, log, f"fork {operator}")
        rows = load_checkpoint(output)["extra_state"]["PretrainTask"]["rows"]
        losses[operator] = float(rows[-1][-1])
    shutil.rmtree(folder)
    return losses


def _arguments(config: Config, stage: Config, data: str, rolling: str) -> list[str]:
    model, pretrain = config["model"], config["pretrain"]
    # tokens per update = tokens per batch x accumulated batches x devices
    devices = pretrain.get("devices", 1)
    accumulate = pretrain["tokens_per_update"] // (pretrain["tokens_per_batch"] * devices)
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
        "--norm-every": pretrain["log_every"],
        "--lr": stage["lr"][0][1],
        "--lr-scheduler": "piecewise_linear",
        "--lr-points": json.dumps(stage["lr"]),
        "--max-update": stage["updates"],
        "--mask-updates": stage.get("mask_updates", 0),
        "--freeze-updates": stage.get("freeze", 0),
        "--until-drop": stage.get("until_drop", 0),
        "--seed": stage["seed"],
        "--valid-seed": config["seed"],
        "--curve": os.path.join(rolling, "curve.tsv"),
        "--save-dir": rolling,
        "--save-interval-updates": pretrain["checkpoint_every"],
        # The one before stays until the newest is certain to be on the disk.
        "--keep-interval-updates": 2,
        "--validate-interval-updates": pretrain["validate_every"],
        "--validate-interval": NEVER,
        "--save-interval": NEVER,
        "--log-interval": pretrain["log_every"],
    }
    pairs = [str(part) for option in options.items() for part in option]
    return [data, *pairs, *common_arguments(config["device"]), *speed_arguments(config)]


def speed_arguments(config: Config) -> list[str]:
    """Precision, compilation, activation checkpointing and data workers, by device where auto.

    Raises UserError for fp16 without a GPU, whose loss scaling needs one.
    """
    pretrain, cuda = config["pretrain"], has_cuda(config["device"])
    precision, compiled = pretrain.get("precision", "auto"), pretrain.get("compile", "auto")
    if precision == "auto":
        precision = best_precision() if cuda else "fp32"
    if precision == "fp16" and not cuda:
        raise UserError(
            "config key pretrain.precision is fp16, which needs a GPU, and training is on the "
            "CPU: set it to auto, fp32 or bf16"
        )
    arguments = {"fp32": [], "bf16": ["--bf16-autocast"], "fp16": ["--amp"]}[precision]
    if compiled is True or (compiled == "auto" and cuda):
        arguments.append("--compile-layers")
    if pretrain.get("activation_checkpointing", False):
        arguments.append("--activation-checkpointing")
    # On a CPU a batch is made in 1/100 of the step's time; a GPU is fed by processes.
    return [*arguments, "--num-workers", "2" if cuda else "0"]


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
    mark, diverged = rolling / "identity.json", rolling / DIVERGED_MARK
    if rolling.exists() and (not mark.exists() or mark.read_text() != identity):
        shutil.rmtree(rolling)
    if not rolling.exists():
        rolling.mkdir(parents=True)
        write_atomic(mark, identity)
    if diverged.exists():  # a retry would only reach the same loss again
        raise UserError(diverged.read_text(encoding="utf-8"))


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


def _keep_good(rolling: Path, error: str) -> None:
    """After an explosion: note it, and drop the checkpoint whose weights already gave it."""
    found = re.search(r" at update (\d+)", error)
    crash = rolling / "crash.pt"  # fairseq's: the weights whose gradients are not finite
    bad = None
    with suppress(UserError):
        bad = int(found[1]) - 1 if found else updates_done(load_checkpoint(crash))
    crash.unlink(missing_ok=True)
    for path in rolling.glob("checkpoint_*.pt"):
        with suppress(UserError):
            if bad is not None and updates_done(load_checkpoint(path)) >= bad:
                path.unlink()
    good = _repair(rolling)
    kept = f" {rolling / LAST} holds the last good weights, after {good} updates." if good else ""
    write_atomic(rolling / DIVERGED_MARK, error + "." + kept)


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
    left = time_left(updates)

    def line(stats: dict[str, Any]) -> str:
        update = int(stats["num_updates"])
        return (
            f"update {update}/{updates} ({100 * update // updates} %), MLM loss "
            f"{float(stats['mlm_loss']):.3f}, {float(stats['wps']):,.0f} tokens/s{left(update)}"
        )

    return line
