"""How true is the time that `make watch` gives? Replays a finished run from its logs.

    python benchmarks/eta.py [--configfile FILE ...] [--output FILE.json]

Run in the folder of a run that went from nothing to the end in one go. For shares of its whole time
the logs are cut off there, the view's own estimate of the time left is made from what remains, and
set against the time that was really left. Nothing is trained or measured here.
"""

import argparse
import json
import os
import re
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from stackbert.errors import write_atomic  # noqa: E402
from stackbert.provenance import git_state, machine  # noqa: E402
from stackbert.report import watch  # noqa: E402
from stackbert.report.plan import resolve, speed  # noqa: E402
from stackbert.report.runlog import read_log  # noqa: E402

SHARES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
STAMP = re.compile(r"^\[(\w{3} \w{3} +\d+ [\d:]+ \d{4})\]", re.MULTILINE)


def whole_run(folder: Path) -> str:
    """Snakemake's log of the folder's longest run."""
    texts = [path.read_text(errors="replace") for path in (folder / ".snakemake/log").glob("*.log")]
    if not texts:
        sys.exit(f"{folder} has no logs in .snakemake/log: run this where a run has ended")
    return max(texts, key=len)


def cut_back(folder: Path, results: str, moment: float, to: Path) -> None:
    """Lay in `to` what the view reads of the run's files, as of `moment`."""
    for name in ("pretrain/*/*/checkpoint.pt", "glue/*/*/*/scores.json", "glue_data/*/counts.json"):
        for path in folder.glob(f"{results}/{name}"):
            if path.stat().st_mtime <= moment:
                copy = to / path.relative_to(folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes() if path.suffix == ".json" else b"")
    for path in folder.glob(f"{results}/logs/train_stage/*.log"):
        kept = []
        for line in path.read_text(errors="replace").splitlines(keepends=True):
            try:
                said = datetime.fromisoformat(line.partition(" | ")[0].replace(",", "."))
            except ValueError:
                said = None
            if said and said.timestamp() > moment:
                break
            kept.append(line)
        copy = to / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text("".join(kept))


def replay(folder: Path, config: dict[str, Any], shares: tuple[float, ...]) -> dict[str, Any]:
    """The run's seconds, and at each share of them the estimated and the real seconds left."""
    text, guess = whole_run(folder), speed(config)[0]
    stamps = [
        (match.start(), datetime.strptime(match[1], "%a %b %d %H:%M:%S %Y").timestamp())
        for match in STAMP.finditer(text)
    ]
    begun, ended = stamps[0][1], stamps[-1][1]
    rows = []
    for share in shares:
        moment = begun + share * (ended - begun)
        run = read_log(text[: next(place for place, at in stamps if at > moment)])
        with tempfile.TemporaryDirectory() as work, mock.patch("time.time", lambda at=moment: at):
            cut_back(folder, config["results"], moment, Path(work))
            os.chdir(work)
            left = watch.seconds_left(config, run, watch.paces_of(config, run), guess)
            os.chdir(folder)
        real = ended - moment
        rows.append({"share": share, "estimated_s": round(left), "real_s": round(real)})
        rows[-1]["ratio"] = round(left / real, 3)
    return {"seconds": round(ended - begun), "jobs": run.counts.total(), "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--configfile", nargs="+", help="what the run was given")
    parser.add_argument("--output", help="JSON file that the result is added to")
    options = parser.parse_args()
    given = options.configfile or []
    result = {"configfile": given}
    result |= replay(Path.cwd(), resolve(["--configfile", *given] if given else []), SHARES)
    for row in result["rows"]:
        print(json.dumps(row))
    if options.output:
        path = Path(options.output)
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        kept.append(result | {"machine": machine(), **git_state()})
        write_atomic(path, json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
