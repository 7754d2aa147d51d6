"""Which files the report's rules wait for."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from string import Formatter
from typing import Any

from snakemake.io import strip_wildcard_constraints

from stackbert.glue.tasks import run_tasks, trained

Wildcards = Mapping[str, str]


def wildcard_values(config: Mapping[str, Any]) -> list[Wildcards]:
    """Every combination of wildcards that some rule's jobs have under this configuration."""
    asked = config["glue"]["tasks"]
    tasks, seeds = trained(asked), config["glue"]["seeds"]
    recipes, shards = config["recipes"], config["corpus"]["shards"]
    prepared = dict.fromkeys(chain.from_iterable(run_tasks(task, asked) for task in tasks))
    return [
        {},
        *({"scatteritem": f"{number}-of-{shards}"} for number in range(1, shards + 1)),
        *(
            {"recipe": name, "stage": f"L{s['layers']}"}
            for name, all in recipes.items()
            for s in all
        ),
        *({"task": task} for task in prepared),
        *({"recipe": r, "task": t, "seed": str(s)} for r in recipes for t in tasks for s in seeds),
    ]


def benchmark_files(patterns: Iterable[str], config: Mapping[str, Any]) -> Sequence[str]:
    """Benchmark files of all jobs; a pattern with wildcards of no known combination is left out."""
    known = wildcard_values(config)
    files = []
    for pattern in map(strip_wildcard_constraints, patterns):
        names = {name for _, name, _, _ in Formatter().parse(pattern) if name}
        files += [pattern.format(**values) for values in known if set(values) == names]
    return files
