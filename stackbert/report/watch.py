"""A live view of a run: `make run` on a terminal, `make watch` from a second one or into a file."""

import heapq
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from stackbert.errors import UserError
from stackbert.failures import summary
from stackbert.flops import flops_per_token, stage_flops
from stackbert.glue.tasks import entry, trained
from stackbert.recipes import stage_folders, stage_name
from stackbert.report.plan import resolve, speed
from stackbert.report.resources import duration
from stackbert.report.runlog import Pace, RunLog, newest_log, read_log, read_pace

Config = Mapping[str, Any]
SAID = Path(".snakemake/said.txt")
START = 8.0  # seconds from the start of a training process to its first update, until measured
SHORT = 3.0  # seconds of a job that has not been measured
EXAMPLE_TOKENS = 35  # of a fine-tuning example, on average
AFTER = ("_report", "_table", "_paper", "_submission", "_submission_files", "curve")


@dataclass(frozen=True)
class Task:
    """Work that is left: its seconds on one slot, and the names of what must come first."""

    seconds: float
    after: tuple[str, ...] = ()


def makespan(tasks: Mapping[str, Task], slots: int) -> float:
    """Seconds until all tasks are done on so many slots, each begun as soon as it can be."""
    waiting = dict(tasks)
    running: list[tuple[float, str]] = []
    now = 0.0
    while waiting or running:
        for name in [n for n, t in waiting.items() if not any(a in tasks for a in t.after)]:
            if len(running) < slots:
                heapq.heappush(running, (now + waiting.pop(name).seconds, name))
        if not running:
            raise ValueError(f"tasks wait for each other: {', '.join(waiting)}")
        now, done = heapq.heappop(running)
        tasks = {name: task for name, task in tasks.items() if name != done}
    return now


def stage_tasks(
    config: Config, run: RunLog, paces: Mapping[str, Pace], rate: float
) -> dict[str, Task]:
    """Training that is left, a task per stage; paces by `recipe/stage`, `rate` in FLOPs/s."""
    begun = {"/".join(job.wildcards.values()): job.started for job in run.running()}
    tasks: dict[str, Task] = {}
    for recipe, stages in config["recipes"].items():
        before: tuple[str, ...] = ()
        for number, name in enumerate(stage_folders(config["recipes"], recipe)):
            stage = stages[number]
            if (Path(config["results"]) / "pretrain" / name / "checkpoint.pt").exists():
                continue
            pace = paces.get(name)
            each = stage_flops(config, stages, number) / stage["updates"] / rate
            if pace and pace.seconds_per_update:
                each = pace.seconds_per_update
            done = pace.update if pace else 0
            start = _start(paces)
            if name in begun:
                start = 0.0 if pace else max(1.0, start - (time.time() - begun[name]))
            tasks[name] = Task(start + (stage["updates"] - done) * each, before)
            before = (name,)
    return tasks


def _start(paces: Mapping[str, Pace]) -> float:
    """Seconds that a training process takes to begin, as measured in this run."""
    starts = [pace.start for pace in paces.values()]
    return sum(starts) / len(starts) if starts else START


def _flops_per_second(config: Config, paces: Mapping[str, Pace], guess: float) -> float:
    """Speed of training, from the stages that have been at it, `guess` before any has."""
    rates = []
    for recipe, stages in config["recipes"].items():
        for number, stage in enumerate(stages):
            pace = paces.get(f"{recipe}/{stage_name(stage)}")
            if pace and pace.seconds_per_update:
                flops = stage_flops(config, stages, number) / stage["updates"]
                rates.append(flops / pace.seconds_per_update)
    return sum(rates) / len(rates) if rates else guess


def glue_tasks(config: Config, run: RunLog, rate: float, start: float) -> dict[str, Task]:
    """Fine-tuning that is left, a task per run."""
    tasks = {}
    for recipe, stages in config["recipes"].items():
        last = stage_folders(config["recipes"], recipe)[-1]
        for task in trained(config["glue"]["tasks"]):
            measured = run.seconds("glue_finetune", {"task": task})
            seconds = measured or start + _glue_seconds(config, task, stages[-1]["layers"], rate)
            for seed in config["glue"]["seeds"]:
                folder = Path(config["results"]) / "glue" / recipe / task / f"seed{seed}"
                if not (folder / "scores.json").exists():
                    tasks[f"{recipe}/{task}/{seed}"] = Task(seconds, (last,))
    now = time.time()
    for job in run.running():
        name = "/".join(job.wildcards.values())
        if job.rule == "glue_finetune" and name in tasks:
            left = tasks[name].seconds - (now - job.started)
            tasks[name] = Task(max(left, 1.0), tasks[name].after)
    return tasks


def _glue_seconds(config: Config, task: str, layers: int, rate: float) -> float:
    """Guess for a run that has not been measured: its tokens by the speed of pre-training."""
    counts = Path(config["results"]) / "glue_data" / task / "counts.json"
    rows = 10_000
    if counts.exists():
        rows = json.loads(counts.read_text(encoding="utf-8"))["train"]["rows"]
    epochs = config["glue"]["epochs"] or entry(task)["epochs"]
    model = config["model"]
    width, inner = model["width"], model["feed_forward"]
    each = flops_per_token(layers, width, inner, EXAMPLE_TOKENS, 0, 1 / EXAMPLE_TOKENS)
    return rows * epochs * EXAMPLE_TOKENS * each / rate


def seconds_left(config: Config, run: RunLog, paces: Mapping[str, Pace], guess: float) -> float:
    """Seconds until the whole run is done, from what has been measured in it so far.

    `guess` is the speed in FLOPs per second that counts until a stage has been measured.
    """
    rate = _flops_per_second(config, paces, guess)
    tasks = stage_tasks(config, run, paces, rate)
    if "glue_finetune" in run.counts:  # a run may have been asked for less than everything
        tasks |= glue_tasks(config, run, rate, _start(paces))
    early = late = 0.0
    for rule, count in run.left().items():
        if rule not in ("train_stage", "glue_finetune"):
            spent = count * (run.seconds(rule) or SHORT) / run.cores
            late, early = (late + spent, early) if rule.endswith(AFTER) else (late, early + spent)
    slots = max(1, run.cores // config["threads"])
    return early + makespan(tasks, slots) + late


def paces_of(config: Config, run: RunLog) -> dict[str, Pace]:
    """Pace of every stage that has been trained in this run, by `recipe/stage`."""
    found = {}
    for job in run.jobs.values():
        if job.rule == "train_stage":
            recipe, stage = job.wildcards["recipe"], job.wildcards["stage"]
            log = Path(config["results"]) / "logs" / "train_stage" / f"{recipe}.{stage}.log"
            if pace := read_pace(log, job.started):
                found[f"{recipe}/{stage}"] = pace
    return found


def lines(config: Config, run: RunLog, guess: float) -> list[tuple[str, str]]:
    """The view: whole run first, then a line for each running job."""
    paces = paces_of(config, run)
    total, left = run.counts.total(), run.left().total()
    head = f"{total - left} of {total} jobs"
    if run.over:
        return [("run", f"{head}, over")]
    shown = [("run", f"{head}, about {duration(seconds_left(config, run, paces, guess))} left")]
    for job in run.running():
        passed = duration(time.time() - job.started)
        text = f"since {passed}"
        pace = paces.get("/".join(job.wildcards.values()))
        if job.rule == "train_stage" and pace:
            stages = config["recipes"][job.wildcards["recipe"]]
            names = [stage_name(stage) for stage in stages]
            place = names.index(job.wildcards["stage"])
            text = (
                f"stage {place + 1} of {len(names)}, "
                f"update {pace.update:,} of {stages[place]['updates']:,}, "
                f"MLM loss {pace.loss:.3f}, {pace.tokens_per_second:,.0f} tokens/s, {text}"
            )
        shown.append((job.name, text))
    return shown


def watch(arguments: Sequence[str], console: Console, every: float) -> None:
    """Show the newest run until it is over; `every` is the seconds between two plain lines."""
    config = resolve(arguments)
    path = newest_log()
    if path is None:
        raise UserError("no run in this folder yet: start one with make run")
    guess = speed(config)[0]
    with Live(console=console, refresh_per_second=2, transient=False) as live:
        while True:
            run = read_log(path.read_text(encoding="utf-8", errors="replace"))
            shown = lines(config, run, guess)
            if console.is_terminal:
                live.update(_table(shown))
            else:
                print("; ".join(": ".join(row) for row in shown), flush=True)
            if run.over:
                return
            time.sleep(2.0 if console.is_terminal else every)


def run_watched(arguments: Sequence[str], console: Console) -> int:
    """Run snakemake with `arguments` under the live view, and return its exit code.

    What it says itself goes to SAID; of that the end is shown when it ends, or why it failed.
    """
    config = resolve(arguments)
    guess, begun = speed(config)[0], time.time()
    SAID.parent.mkdir(exist_ok=True)
    with open(SAID, "w", encoding="utf-8") as file:
        command = [sys.executable, "-m", "snakemake", *arguments]
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    with Live("reading the workflow", console=console, refresh_per_second=2) as live:
        while process.poll() is None:
            try:
                time.sleep(1.0)
                if path := _log_since(begun):
                    run = read_log(path.read_text(encoding="utf-8", errors="replace"))
                    live.update(_table(lines(config, run, guess)))
            except KeyboardInterrupt:  # the terminal has told snakemake too
                live.update("stopping; training saves first, make run goes on from there")
    path = _log_since(begun)
    words = SAID.read_text(encoding="utf-8", errors="replace").splitlines()
    why = summary(str(path)) if path and process.returncode else []
    said = why or words[-20 if process.returncode else -3 :]
    print(*said, f"All that snakemake said: {SAID}", sep="\n", flush=True)
    return process.returncode


def _log_since(begun: float) -> Path | None:
    path = newest_log()
    return path if path and path.stat().st_mtime >= begun else None


def _table(shown: Sequence[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    for row in shown:
        table.add_row(*row)
    return table


if __name__ == "__main__":
    try:
        if sys.argv[1:2] == ["--run"]:
            sys.exit(run_watched(sys.argv[2:], Console()))
        watch(sys.argv[1:], Console(), every=30.0)
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
