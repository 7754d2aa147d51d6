"""`make plan`: what a run will take and what of it is already done, without running a job."""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml

from stackbert.config import check
from stackbert.errors import UserError
from stackbert.flops import recipe_flops, stage_flops, update_flops
from stackbert.provenance import ROOT
from stackbert.recipes import resolve as resolve_recipes
from stackbert.recipes import stage_folders, stage_name, trained_stages
from stackbert.report import estimate
from stackbert.report.config_doc import overlaid
from stackbert.report.resources import duration

# Share of the speed of plain matrix products that training reaches, as measured for a narrow and
# deep model; only used before anything has been trained.
EFFICIENCY = 0.35
GIB = 2**30


def resolve(arguments: Sequence[str]) -> dict[str, Any]:
    """The configuration that Snakemake would have with these arguments, checked."""
    parser = argparse.ArgumentParser(prog="make plan", allow_abbrev=False)
    parser.add_argument("--configfile", nargs="+", default=[])
    parser.add_argument("--config", "-C", nargs="+", default=[])
    known, _ = parser.parse_known_args(arguments)
    config: dict[str, Any] = _read(ROOT / "config.yaml")
    for path in known.configfile:
        config = overlaid(config, _read(path))
    for pair in known.config:
        key, _, text = pair.partition("=")
        config = overlaid(config, {key: yaml.safe_load(text)})
    check(config, ROOT / "workflow")
    return resolve_recipes(config)


def _read(path: str | Path) -> Any:
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{path} is no YAML file that can be read: {error}") from None


def missing_outputs(arguments: Sequence[str]) -> tuple[set[str], int]:
    """Files that `snakemake -n` would make, and the number of jobs."""
    command = [sys.executable, "-m", "snakemake", "-n", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise UserError((done.stderr.strip() or done.stdout.strip()).splitlines()[-1])
    text = done.stdout + done.stderr
    files = {
        name for line in re.findall(r"^ +output: (.*)$", text, re.M) for name in line.split(", ")
    }
    total = re.search(r"^total +(\d+)$", text, re.M)
    return files, int(total[1]) if total else 0


def speed(config: dict[str, Any]) -> tuple[float, str]:
    """FLOPs per second of training, and where the number is from."""
    for recipe, stages in config["recipes"].items():
        path = Path(config["results"]) / "pretrain" / recipe / "curve.tsv"
        if path.exists():
            flops = recipe_flops(config, stages)
            return flops / pd.read_csv(path, sep="\t")["seconds"].iloc[-1], f"measured: {path}"
    device = "cuda" if config["device"] != "cpu" and torch.cuda.is_available() else "cpu"
    torch.set_num_threads(config["threads"])
    width, rows = max(config["model"]["width"], 64), 2048
    a, b = torch.randn(rows, width, device=device), torch.randn(width, width, device=device)
    # Processor time on a CPU, so that other programs do not make the guess longer.
    clock = time.perf_counter if device == "cuda" else time.process_time
    started, products = clock(), 0
    while clock() - started < 0.3 * (1 if device == "cuda" else config["threads"]):
        (a @ b).sum().item()
        products += 1
    spent = (clock() - started) / (1 if device == "cuda" else config["threads"])
    rate = 2 * rows * width**2 * products / spent
    return EFFICIENCY * rate, f"guessed from matrix products on the {device}, within a factor of 3"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned text; the first row is the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def stage_rows(
    config: dict[str, Any], missing: set[str], rate: float
) -> tuple[list[list[str]], float]:
    """A row per stage, and the seconds of those that are still to be trained."""
    rows = [["recipe", "stage", "updates", "tokens", "FLOPs", "time", "memory", "state"]]
    left = 0.0
    recipes, own = config["recipes"], set(trained_stages(config["recipes"]))
    for recipe, stages in recipes.items():
        for number, (stage, folder) in enumerate(
            zip(stages, stage_folders(recipes, recipe), strict=True)
        ):
            name = stage_name(stage)
            flops = stage_flops(config, stages, number)
            todo = f"{config['results']}/pretrain/{folder}/checkpoint.pt" in missing
            shared = (recipe, number) not in own
            left += flops / rate if todo and not shared else 0.0
            state = f"as {folder}" if shared else "to do" if todo else "done"
            tokens = stage["updates"] * config["pretrain"]["tokens_per_update"]
            memory = estimate.training_bytes(config, stage["layers"]) / GIB
            row = [recipe, name, f"{stage['updates']:,}", f"{tokens:,}", f"{flops:.1e}"]
            row += [duration(flops / rate), f"{memory:.1f} GiB", state]
            rows.append(row)
    return rows, left


def ceilings(config: dict[str, Any]) -> list[str]:
    """The most that growing can gain: were an update of few layers worth one of the last depth."""
    found = []
    for recipe, stages in config["recipes"].items():
        if len(stages) > 1:
            updates = sum(stage["updates"] for stage in stages)
            deep = updates * update_flops(config, stages[-1]["layers"])
            found.append(f"{recipe} {deep / recipe_flops(config, stages):.2f}x")
    return found


def warnings(config: dict[str, Any], disk: int) -> list[str]:
    """What will not do: disk, GPU memory, a full-size run without a GPU."""
    found = []
    free = shutil.disk_usage(_existing(Path(config["results"]))).free
    if disk > free:
        found.append(f"{disk / GIB:,.1f} GiB of disk needed, {free / GIB:,.1f} GiB free")
    deepest = max(stage["layers"] for stages in config["recipes"].values() for stage in stages)
    need = estimate.training_bytes(config, deepest)
    if config["device"] != "cpu" and torch.cuda.is_available():
        memory, kind = torch.cuda.get_device_properties(0).total_memory, "GPU memory"
    else:
        memory, kind = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), "memory"
    if need > memory:
        found.append(
            f"{need / GIB:,.1f} GiB of {kind} needed, {memory / GIB:,.1f} GiB there: "
            "lower pretrain.tokens_per_batch"
        )
    return found


def _existing(path: Path) -> Path:
    """The path or its nearest folder that exists."""
    return next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())


def plan(arguments: Sequence[str]) -> str:
    """The whole plan as text."""
    config = resolve(arguments)
    missing, jobs = missing_outputs(arguments)
    rate, source = speed(config)
    rows, left = stage_rows(config, missing, rate)
    disk = estimate.disk_bytes(config)
    parts = [table(rows), ""]
    parts += [f"Training still to do: {duration(left)}, one stage after another ({source})."]
    parts += [f"Jobs still to do: {jobs}." if jobs else "Nothing to do: all results are there."]
    if highest := ceilings(config):
        parts += [f"Ceiling of the speed-up by growing, in FLOPs: {', '.join(highest)}."]
    sizes = ", ".join(f"{name} {size / GIB:,.1f} GiB" for name, size in disk.items())
    parts += [f"Disk of the results: {sum(disk.values()) / GIB:,.1f} GiB ({sizes})."]
    fetched = estimate.downloads(config) if jobs else []
    parts += [f"Download: {line}" for line in fetched]
    parts += [f"warning: {line}" for line in warnings(config, sum(disk.values()))]
    return "\n".join(parts)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `... | head` ends quietly
    try:
        print(plan(sys.argv[1:]))
    except UserError as error:
        sys.exit(f"error: {error}")
