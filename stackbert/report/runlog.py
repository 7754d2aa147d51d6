"""What Snakemake's own log and the training logs say about a run that is under way."""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

_STAMP = re.compile(r"\[(\w{3} \w{3} +\d+ [\d:]+ \d{4})\]")
_RULE = re.compile(r"(?:local)?rule (\w+):")
_KEY = re.compile(r" +(jobid|wildcards): (.*)")
_DONE = re.compile(r"Finished jobid: (\d+)")


@dataclass
class Job:
    """One job that has begun; times in seconds since the epoch, `ended` None while it runs."""

    rule: str
    started: float
    wildcards: dict[str, str] = field(default_factory=dict)
    ended: float | None = None

    @property
    def name(self) -> str:
        """The rule and its wildcards, for people."""
        return " ".join([self.rule, *self.wildcards.values()])


@dataclass
class RunLog:
    """State of one run: how many jobs by rule, those that have begun by id, whether it is over."""

    counts: Counter[str] = field(default_factory=Counter)
    jobs: dict[str, Job] = field(default_factory=dict)
    cores: int = 1
    over: bool = False

    def left(self) -> Counter[str]:
        """Jobs that have not ended, by rule."""
        return self.counts - Counter(job.rule for job in self.jobs.values() if job.ended)

    def running(self) -> list[Job]:
        """Jobs that have begun and not ended."""
        return [job for job in self.jobs.values() if job.ended is None]

    def seconds(self, rule: str, wildcards: dict[str, str] | None = None) -> float | None:
        """Mean time of the rule's ended jobs, of those with these wildcards; None without any."""
        wanted = (wildcards or {}).items()
        times = [
            job.ended - job.started
            for job in self.jobs.values()
            if job.rule == rule and job.ended and wanted <= job.wildcards.items()
        ]
        return sum(times) / len(times) if times else None


def newest_log(folder: str | Path = ".snakemake/log") -> Path | None:
    """Log of the newest run that has planned jobs; None if there has been none."""
    logs = sorted(Path(folder).glob("*.snakemake.log"), key=lambda path: path.name, reverse=True)
    return next((path for path in logs if "Job stats:" in path.read_text(errors="replace")), None)


def read_log(text: str) -> RunLog:
    """Read Snakemake's log; a line that is still being written is left for the next time."""
    run = RunLog()
    table = re.search(r"^Job stats:\n.*?\n-.*?\n(.*?)\n\n", text, re.DOTALL | re.MULTILINE)
    for line in table[1].splitlines() if table else []:
        rule, _, count = line.rpartition(" ")
        if rule.strip() not in ("total", "all"):
            run.counts[rule.strip()] = int(count)
    if cores := re.search(r"^Provided cores: (\d+)", text, re.MULTILINE):
        run.cores = int(cores[1])
    now, job = 0.0, Job("", 0.0)
    for line in text.splitlines():
        if match := _STAMP.match(line):
            now = datetime.strptime(match[1], "%a %b %d %H:%M:%S %Y").timestamp()
        elif match := _RULE.match(line):
            job = Job(match[1], now)
        elif match := _KEY.match(line):
            _take_key(run, job, match[1], match[2])
        elif (match := _DONE.match(line)) and match[1] in run.jobs:
            run.jobs[match[1]].ended = now
    run.over = "\nComplete log" in text or "\nShutting down" in text
    run.jobs = {number: job for number, job in run.jobs.items() if job.rule in run.counts}
    return run


def _take_key(run: RunLog, job: Job, key: str, value: str) -> None:
    if key == "jobid":
        run.jobs[value] = job
    else:
        job.wildcards = dict(pair.partition("=")[::2] for pair in value.split(", "))


@dataclass(frozen=True)
class Pace:
    """How far a training process is: updates, seconds per update, and its last logged numbers.

    `start` is the seconds from the beginning of its job to its first update.
    """

    update: int
    seconds_per_update: float | None
    start: float
    loss: float
    tokens_per_second: float


def read_pace(path: str | Path, since: float = 0.0) -> Pace | None:
    """Pace of the process that writes a fairseq log, from its lines after `since`; None before any.

    Seconds per update run from the first logged interval to the last, validation included.
    """
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    points = []
    for line in text.splitlines():
        stamp, _, rest = line.partition(" | ")
        if rest.startswith("INFO | train_inner | ") and rest.endswith("}"):
            time = datetime.fromisoformat(stamp.replace(",", ".")).timestamp()
            if time >= since:
                points.append((time, json.loads(rest.split(" | ")[2])))
    if not points:
        return None
    (start, first), (end, last) = points[0], points[-1]
    begun = int(first["num_updates"])
    updates = int(last["num_updates"]) - begun
    loss = float(last.get("mlm_loss", last["loss"]))
    each = (end - start) / updates if updates > 0 and end > start else None
    before = max(0.0, start - since - (begun * each if each else 0.0))
    return Pace(int(last["num_updates"]), each, before, loss, float(last["wps"]))
