"""The report's rules, one function each: read what other steps wrote, write pages and figures."""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from stackbert.report import figures, losses
from stackbert.report.html import flatten, write_tables
from stackbert.report.resources import duration, readable, rule_times
from stackbert.report.rulegraph import draw_rulegraph, read_rulegraph

Outputs = Mapping[str, str]


def losses_page(arms: figures.Arms, control: str, curves: Sequence[str], out: Outputs) -> None:
    """Loss curves, time to the control's loss, stages and growth steps.

    `curves` are those of the recipes in the order of `arms`; `control` is a recipe.
    """
    table = losses.read_curves([name for names in arms.values() for name in names], curves)
    arm = next(arm for arm, names in arms.items() if control in names)
    figures.loss_figure(table, arms, arm, "seconds", out["seconds"])
    figures.loss_figure(table, arms, arm, "tokens", out["tokens"])
    reached = losses.time_to_loss(table, control)
    losses.write_tsv(reached, out["time_to_loss"])
    figures.time_to_loss_figure(reached, out["bars"])
    write_tables(out["stages"], "Stages", {"What each stage did": losses.stage_table(table)})
    growth = {
        f"Time to the final loss of {control}": reached.assign(
            tokens=reached["tokens"].map(lambda text: f"{int(text):,}" if text else "")
        ),
        "Loss on either side of each growth step": losses.growth_table(table),
    }
    write_tables(out["growth"], "Growth", growth)


def glue_page(table: str, paper: str, recipes: Sequence[str], out: Outputs) -> None:
    """Scores of every recipe and task with their spread over seeds, and beside the paper's."""
    scores = pd.read_csv(table, sep="\t")
    figures.glue_figure(scores, recipes, out["figure"])
    spread = [column for column in ("median", "min", "max", "std") if column in scores]
    shown = scores.assign(**{column: scores[column].map(_four) for column in spread})
    beside = pd.read_csv(paper, sep="\t", dtype=str, keep_default_na=False)
    tables = {"Development set, over seeds": shown, "Beside the paper, in per cent": beside}
    write_tables(out["page"], "GLUE", tables)


def _four(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.4f}"


def corpus_page(table: str, out: Outputs) -> None:
    """What became of the lines, and the counters of every step."""
    counters = pd.read_csv(table, sep="\t", dtype=str, keep_default_na=False)
    figures.corpus_figure(counters, out["figure"])
    shown = counters.assign(
        counter=counters["counter"].str.replace("_", " "),
        value=counters["value"].map(lambda text: f"{int(text):,}" if text.isdigit() else text),
    )
    steps = {
        str(step): part.drop(columns="step") for step, part in shown.groupby("step", sort=False)
    }
    write_tables(out["page"], "Corpus", steps)


def resources_page(benchmarks: Sequence[str], out: Outputs) -> None:
    """Time and memory of each rule."""
    table = rule_times(benchmarks)
    figures.rule_time_figure(table, out["figure"])
    total = (
        f"All jobs together: {duration(table['seconds'].sum())}; jobs that ran at once both count."
    )
    write_tables(out["page"], "Resources", {"Where the time went": readable(table)}, total)


def rulegraph_figure(snakefile: str, config: Mapping[str, Any], out: Outputs) -> None:
    """The rules of this configuration as a picture."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(config, file)
        file.flush()
        arguments = [
            "--snakefile",
            snakefile,
            "--directory",
            os.getcwd(),
            "--configfile",
            file.name,
        ]
        draw_rulegraph(read_rulegraph(arguments), out["figure"])


def reproducibility_page(runs: Sequence[str], config: Mapping[str, Any], out: Outputs) -> None:
    """Configuration, and of every trained model its seed, commit, machine and package versions."""
    values = flatten(config)
    write_tables(
        out["config"],
        "Configuration",
        {"Configuration": pd.DataFrame({"key": values.keys(), "value": values.values()})},
    )
    told = {path: json.loads(Path(path).read_text(encoding="utf-8")) for path in runs}
    models = pd.DataFrame([_model_row(path, run) for path, run in told.items()])
    machines = pd.DataFrame([run["machine"] for run in told.values()])
    machines["gpus"] = machines["gpus"].map(", ".join)
    packages: dict[str, set[str]] = {}
    for run in told.values():
        for name, version in run["versions"].items():
            packages.setdefault(name, set()).add(version)
    versions = {name: ", ".join(sorted(found)) for name, found in packages.items()}
    write_tables(
        out["versions"],
        "Versions",
        {
            "Trained models": models,
            "Machines": machines.drop_duplicates(),
            "Packages": pd.DataFrame({"package": versions.keys(), "version": versions.values()}),
        },
    )


def _model_row(path: str, run: Mapping[str, Any]) -> dict[str, str]:
    commit = run["commit"] or "unknown (no repository)"
    return {
        "model": str(Path(path).parent),
        "seed": str(run["seed"]),
        "commit": commit + (" with changes" if run["dirty"] else ""),
        "Python": run["python"],
        "written (UTC)": run["written"].removesuffix("+00:00").replace("T", " "),
    }
