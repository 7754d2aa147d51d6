"""The choice among the points of a grid of learning rates and epochs, on dev."""

import json
from collections.abc import Sequence

from stackbert.errors import write_atomic


def choose(paths: Sequence[str], output: str) -> None:
    """Write rate and epochs of the run with the best first metric on dev, and all that were tried.

    Of equal scores the first in the grid is taken.
    """
    tried = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            run = json.load(file)
        metric, value = next(iter(run["metrics"].items()))
        point = {key: run[key] for key in ("learning_rate", "epochs", "seed")}
        tried.append(point | {metric: value, "score": value})
    best = max(tried, key=lambda point: point["score"])
    chosen = {key: best[key] for key in ("learning_rate", "epochs")}
    write_atomic(output, json.dumps(chosen | {"chosen on": "dev", "tried": tried}, indent=2) + "\n")


def with_choice(settings: dict[str, object], choice: str | None) -> dict[str, object]:
    """The settings of a run, with rate and epochs of a choice if there is one."""
    if not choice:
        return settings
    with open(choice, encoding="utf-8") as file:
        chosen = json.load(file)
    return settings | {key: chosen[key] for key in ("learning_rate", "epochs")}
