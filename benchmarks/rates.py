"""Are the recipes' learning rates a fair choice? Trains each recipe with its rates scaled.

    python benchmarks/rates.py --data results/bin --factors 0.25 0.5 1 2 --jobs 2
    python benchmarks/rates.py --configfile configs/growth_lab.yaml --recipes scratch-seed1 ...

Prints the final validation loss per recipe and factor and writes benchmarks/results/rates.json.
Losses do not depend on what else the machine does, so it may run beside other work.
"""

import argparse
import copy
import json
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from stackbert.pretrain import grow_stage, train_stage  # noqa: E402
from stackbert.provenance import git_state, machine  # noqa: E402
from stackbert.report.plan import resolve  # noqa: E402


def scaled(stages: list[dict[str, Any]], factor: float) -> list[dict[str, Any]]:
    """The stages with every learning rate multiplied by `factor`."""
    stages = copy.deepcopy(stages)
    for stage in stages:
        stage["lr"] = [[update, rate * factor] for update, rate in stage["lr"]]
    return stages


def final_loss(config: dict[str, Any], stages: list[dict[str, Any]], data: str, name: str) -> float:
    """Train a recipe in a temporary folder; its last validation MLM loss in nats."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, before = None, None
        for stage in stages:
            home = Path(folder) / f"L{stage['layers']}"
            home.mkdir()
            init = None
            if before is not None:
                init = str(home / "grown.pt")
                timing = str(home / "growth.json")
                depths = (before["layers"], stage["layers"])
                how = (stage["grow"], stage["seed"], stage.get("moments", "reset"))
                training = {"stage": stage, "data": data, "config": config}
                grow_stage(checkpoint, init, timing, *depths, *how, training)
            checkpoint, before = str(home / "checkpoint.pt"), stage
            log = str(home / "log")
            train_stage(config, stage, data, init, checkpoint, log, f"{name} L{stage['layers']}")
        curve = pd.read_csv(home / "curve.tsv", sep="\t")
        return float(curve["valid_mlm_loss"].iloc[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", default="results/bin", help="folder of the binarized text")
    parser.add_argument("--configfile", nargs="+", default=[], help="laid over config.yaml")
    parser.add_argument("--recipes", nargs="+", help="all of the configuration's if not given")
    parser.add_argument("--factors", type=float, nargs="+", default=[0.25, 0.5, 1, 2])
    parser.add_argument("--jobs", type=int, default=2, help="trainings at the same time")
    parser.add_argument("--output", default=str(ROOT / "benchmarks" / "results" / "rates.json"))
    options = parser.parse_args()
    config = resolve(["--configfile", *options.configfile])
    recipes = options.recipes or list(config["recipes"])
    runs = [(recipe, factor) for factor in options.factors for recipe in recipes]
    with ProcessPoolExecutor(options.jobs) as pool:
        losses = [
            pool.submit(
                final_loss,
                config,
                scaled(config["recipes"][recipe], factor),
                options.data,
                f"{recipe} x {factor:g}",
            )
            for recipe, factor in runs
        ]
        rows = [
            {"recipe": recipe, "factor": factor, "final_loss": loss.result()}
            for (recipe, factor), loss in zip(runs, losses, strict=True)
        ]
    result = {"runs": rows, "recipes": config["recipes"], "machine": machine(), **git_state()}
    Path(options.output).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
