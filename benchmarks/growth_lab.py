"""What does growing gain? Turns a finished growth lab into benchmarks/results/growth_lab.json.

    make growth-lab             # runs configs/growth_lab.yaml, then this
    python benchmarks/growth_lab.py --results results/growth_lab [--output FILE.json]

Per arm and seed: final_loss, train_loss, seconds, flops, tokens, and seconds, flops and tokens to
the control's median final loss (`to_...` at any depth, `deep_...` at full depth; null: never).
Nothing is trained or measured here.
"""

import argparse
import json
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from stackbert.errors import write_atomic  # noqa: E402
from stackbert.provenance import git_state, machine  # noqa: E402

ALL = ["target_loss", "unigram_loss"]  # the same for every run


def result(results: Path) -> dict[str, object]:
    """The lab's runs by arm and seed, and what they are compared with."""
    runs = pd.read_csv(results / "tables" / "comparison_runs.tsv", sep="\t")
    arms: dict[str, dict[str, dict[str, float]]] = {}
    for run in json.loads(runs.drop(columns=ALL).to_json(orient="records")):
        seed = run.pop("run").rpartition("-seed")[2]
        arms.setdefault(run.pop("arm"), {})[seed] = run
    return {**{name: float(runs[name].iloc[0]) for name in ALL}, "arms": arms}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--results", default="results/growth_lab", help="folder of the lab")
    parser.add_argument(
        "--command", default="make growth-lab", help="what the lab was run with, to be kept"
    )
    parser.add_argument("--output", default=str(ROOT / "benchmarks/results/growth_lab.json"))
    options = parser.parse_args()
    found = {"command": options.command, **result(Path(options.results))}
    found |= {"machine": machine(), **git_state()}
    write_atomic(options.output, json.dumps(found, indent=2) + "\n")
    for arm, seeds in found["arms"].items():
        losses = " ".join(f"{run['final_loss']:.3f}" for run in seeds.values())
        gains = [run["to_seconds_gain"] for run in seeds.values()]
        shown = " ".join("never" if gain is None else f"{gain:.2f}x" for gain in gains)
        print(f"{arm}: final loss {losses}; to the control's {found['target_loss']:.3f} {shown}")


if __name__ == "__main__":
    main()
