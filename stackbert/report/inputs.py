"""Which files the report's rules wait for."""

from collections.abc import Mapping, Sequence
from itertools import chain
from string import Formatter
from typing import Any

from snakemake.io import strip_wildcard_constraints

from stackbert.glue.tasks import run_tasks, trained
from stackbert.recipes import stage_name, trained_stages

Wildcards = Mapping[str, str]
# Rules whose every job belongs to any run of a configuration. To ask for the benchmark of a job is
# to ask for the job, so rules that only some runs need are not here.
TIMED = (
    "clean",
    "tokenize",
    "learn_bpe",
    "apply_bpe",
    "binarize",
    "train_stage",
    "glue_prepare",
    "glue_finetune",
)


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
            {"recipe": name, "stage": stage_name(recipes[name][number])}
            for name, number in trained_stages(recipes)
        ),
        *({"task": task} for task in prepared),
        *({"recipe": r, "task": t, "seed": str(s)} for r in recipes for t in tasks for s in seeds),
    ]


def benchmark_files(patterns: Mapping[str, str], config: Mapping[str, Any]) -> Sequence[str]:
    """Benchmark files of all jobs of the timed rules; `patterns` has each rule's, by its name."""
    known = wildcard_values(config)
    timed = [*TIMED, *(["read_books"] if config["corpus"].get("books") else [])]
    if any(config["corpus"].get("dump", {}).get(key) for key in ("package", "url", "path")):
        timed = ["download_dump", "extract", *timed]
    files = []
    for rule in timed:
        if rule in patterns:
            pattern = strip_wildcard_constraints(patterns[rule])
            names = {name for _, name, _, _ in Formatter().parse(pattern) if name}
            files += [pattern.format(**values) for values in known if set(values) == names]
    return files
