"""The comparison of growth recipes over seeds: loss at equal time, and time to equal loss."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from stackbert.flops import flops_after, growth_flops
from stackbert.recipes import seeded, stage_name
from stackbert.report.html import write_tables
from stackbert.report.losses import (
    Curves,
    final_loss,
    first_reach,
    median_final_loss,
    read_curves,
    write_tsv,
)

Config = Mapping[str, Any]
COSTS = ("seconds", "flops", "tokens")
NOTE = (
    "Median and, in brackets, range over the seeds. Losses are MLM losses in nats per masked "
    "token: in training with dropout, since the validation before; all others on the same masked "
    "validation set. 'To the target' is the way to the control's median final loss, at any depth "
    "or by the model of full depth; 'gain' is the control's way over the arm's. Time, FLOPs and "
    "tokens count growing and learning how to grow, not validation. FLOPs per token, forward and "
    "backward: 6 x (layers x (4 d^2 + 2 n d + 2 d f) + m x (d^2 + d V)), the last feed-forward "
    "times m (d width, f feed-forward, n positions, m share of masked tokens, V dictionary); "
    "frozen layers cost less (stackbert/flops.py)."
)


def with_flops(curve: pd.DataFrame, config: Config, stages: Sequence[Config]) -> pd.DataFrame:
    """The curve with a column of the FLOPs spent until each point, growing included."""
    begun, spent = {}, 0.0
    updates = curve.groupby("stage")["update"].max()  # a stage may have ended before its time
    for number, stage in enumerate(stages):
        spent += growth_flops(config, stage)
        begun[stage_name(stage)] = (number, spent)
        spent += flops_after(config, stages, number, int(updates[stage_name(stage)]))
    flops = []
    for name, update in zip(curve["stage"], curve["update"], strict=True):
        number, before = begun[name]
        flops.append(before + flops_after(config, stages, number, int(update)))
    return curve.assign(flops=flops)


def runs_table(config: Config, curves: Curves) -> pd.DataFrame:
    """A row per run: what it ended with, and its way to the control's median final loss.

    `to_*` is empty where the loss was never reached, `deep_*` where no model of full depth did.
    """
    arms = seeded(config)
    control = next(names for names in arms.values() if config["control"] in names)
    target = median_final_loss(curves, control)
    equal = float(pd.Series([curves[name]["seconds"].iloc[-1] for name in control]).median())
    rows = []
    for arm, names in arms.items():
        for name in names:
            curve = with_flops(curves[name], config, config["recipes"][name])
            end, deepest = curve.iloc[-1], curve[curve["layers"] == curve["layers"].max()]
            within = curve[curve["seconds"] <= equal]
            row = {"arm": arm, "run": name, "final_loss": final_loss(curve)}
            row |= {"train_loss": end["train_loss"]}
            row |= {"gap": row["final_loss"] - end["train_loss"]}
            row |= {"loss_at_equal_time": final_loss(within) if len(within) else None}
            row |= {cost: end[cost] for cost in COSTS}
            for key, points in (("to", curve), ("deep", deepest)):
                reached = first_reach(points, target)
                row |= {f"{key}_{c}": None if reached is None else reached[c] for c in COSTS}
            rows.append(row)
    return pd.DataFrame(rows).assign(target_loss=target)


def gains(runs: pd.DataFrame, control: str) -> pd.DataFrame:
    """The runs with the control's median way to the target over each run's own, per cost.

    A run of the control that ends above the target counts with its whole length.
    """
    own = runs[runs["arm"] == control]
    gained = runs.copy()
    for cost in COSTS:
        way = own[f"to_{cost}"].astype(float).fillna(own[cost]).median()
        for key in ("to", "deep"):
            gained[f"{key}_{cost}_gain"] = way / runs[f"{key}_{cost}"].astype(float)
    return gained


def arms_table(runs: pd.DataFrame) -> pd.DataFrame:
    """A row per arm, median (lowest-highest) of each number; empty if half the seeds have none."""
    rows = []
    for arm, part in runs.groupby("arm", sort=False):
        row = {"arm": arm, "seeds": str(len(part))}
        for column in part.columns.drop(["arm", "run", "target_loss"]):
            values = part[column].astype(float)
            if values.isna().sum() * 2 >= len(values):
                row[column] = ""
                continue
            low, high = _number(values.min(), column), _number(values.max(), column)
            never = f", {values.isna().sum()} never" if values.isna().any() else ""
            middle = _number(values.median(), column)
            row[column] = f"{middle} ({low}-{high}{never})" if len(values) > 1 else middle
        rows.append(row)
    return pd.DataFrame(rows)


def _number(value: float, column: str) -> str:
    if column.endswith("gain"):
        return f"{value:.2f}x"
    if column.endswith("flops"):
        return f"{value:.3g}"
    if column.endswith("tokens"):
        return f"{value / 1e6:.2f}M"
    return f"{value:.1f}" if column.endswith("seconds") else f"{value:.3f}"


def comparison_page(
    config: Config, paths: Sequence[str], unigram: str, out: Mapping[str, str]
) -> None:
    """Write the table of runs and the page of arms; `paths` are the recipes' curves, in order."""
    curves = read_curves(list(config["recipes"]), paths)
    with open(unigram, encoding="utf-8") as file:
        frequencies = json.load(file)["unigram_loss"]
    arms = seeded(config)
    control = next(arm for arm, names in arms.items() if config["control"] in names)
    runs = gains(runs_table(config, curves), control)
    runs["unigram_loss"] = frequencies
    write_tsv(runs, out["runs"])
    shown = arms_table(runs.drop(columns="unigram_loss"))
    write_tsv(shown.assign(unigram_loss=frequencies), out["arms"])
    target = runs["target_loss"].iloc[0]
    reached = [name for name in shown if name.startswith(("to_", "deep_"))]
    tables = {
        f"Where each arm ends (predicting by frequency: {frequencies:.3f})": shown.drop(
            columns=reached
        ),
        f"The way to {control}'s median final loss {target:.3f}": shown[["arm", *reached]],
    }
    tables = {
        heading: table.rename(columns=lambda name: name.replace("_", " "))
        for heading, table in tables.items()
    }
    write_tables(out["page"], "Comparison", tables, NOTE)
