"""What went wrong in a run of snakemake, in a line per failed step."""

import re
from pathlib import Path

_FAILED = re.compile(r"^Error in rule (\w+):\n((?:    .*\n?)*)", re.MULTILINE)
_LOG = re.compile(r"^    log: ([^\s,]+)", re.MULTILINE)
_JOB = re.compile(r"^    jobid: (\d+)", re.MULTILINE)
_FINISHED = re.compile(r"^Finished jobid: (\d+)", re.MULTILINE)


def summary(snakemake_log: str) -> list[str]:
    """The failed steps of a run, each with its cause and its log, and how to go on.

    `snakemake_log` is the log file that snakemake writes about itself.
    """
    text = Path(snakemake_log).read_text(encoding="utf-8", errors="replace")
    lines, finished = [], set(_FINISHED.findall(text))  # in the end, by a retry
    for rule, block in dict(_FAILED.findall(text)).items():
        if (job := _JOB.search(block)) and job[1] in finished:
            continue
        log = match[1] if (match := _LOG.search(block)) else None
        lines.append(f"{rule} failed: {_cause(log)}" + (f" (log: {log})" if log else ""))
    if lines:
        lines.append("Finished steps are kept: mend the cause and run the same command again.")
    return lines


def _cause(log: str | None) -> str:
    """The user's error at the end of a step's log, else its last line."""
    try:
        lines = Path(log or "").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    errors = [line for line in lines if line.startswith("error: ")]
    last = [line for line in lines if line.strip()]
    if errors:
        return errors[-1].removeprefix("error: ")
    return last[-1].strip() if last else "it was stopped before it could say why"
