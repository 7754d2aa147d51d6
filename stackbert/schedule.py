"""Schedules: from a FLOP budget and each depth's share of it to a recipe's plain list of stages."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from stackbert.errors import UserError
from stackbert.flops import flops_after, growth_flops, update_flops

Config = Mapping[str, Any]
Stage = dict[str, Any]


def expand(config: Config, name: str) -> list[Stage]:
    """The stages of the scheduled recipe `name`.

    Its `budget` is given in updates of the last stage's depth: what as many of them cost in FLOPs
    is shared out, so that a recipe of one stage and a grown one of the same depth and budget cost
    the same. A stage has a `share` of the budget, or its `updates`; the last gets what is left.
    Rates: `wsd` (warm-up, stable, decay) stays at the peak and falls to 0 only over the last share
    `decay` of the budget; `linear` falls to 0 over the whole, in proportion to the FLOPs. Both rise
    from 0 in `warmup` updates at the start and in `rewarm` after each growth. Raises UserError for
    shares that leave no stage its updates.
    """
    recipe = config["recipes"][name]
    last = recipe["stages"][-1]
    budget = recipe["budget"] * update_flops(config, last["layers"])
    stages: list[Stage] = []
    spent = 0.0
    for number, given in enumerate(recipe["stages"]):
        key = f"recipes.{name}.stages[{number}]"
        stage: Stage = {"seed": number + 1, **given, "updates": 1}
        share, peak = stage.pop("share", None), stage.pop("peak", recipe["peak"])
        stages.append(stage)
        given_keys = [k for k in ("share", "updates") if k in given]
        if len(given_keys) != (0 if given is last else 1):
            raise UserError(
                f"config key {key}: given {', '.join(given_keys) or 'neither share nor updates'}, "
                "allowed share or updates, and neither for the last stage, which gets the rest"
            )
        begun = spent
        spent += growth_flops(config, stage)
        ended = begun + share * budget if share else budget
        stage["updates"] = given.get("updates") or _updates(config, stages, number, ended - spent)
        ramp = recipe["rewarm"] if number else recipe["warmup"]
        if stage["updates"] <= ramp:
            raise UserError(
                f"config key {key}: its part of the budget is {max(0, stage['updates'])} updates, "
                f"allowed more than the {ramp} of the rate's rise: raise budget or the share"
            )
        spent += flops_after(config, stages, number, stage["updates"])
        if recipe["schedule"] == "linear":
            stage["lr"] = _linear(stage["updates"], ramp, peak, begun / budget, spent / budget)
        else:
            decay = recipe["decay"] * recipe["budget"] if given is last else 0
            stage["lr"] = _stable(stage["updates"], ramp, peak, round(decay), key)
    return stages


def _updates(config: Config, stages: list[Stage], number: int, flops: float) -> int:
    """Updates of a stage that so many FLOPs pay for."""
    stage = stages[number]
    frozen = stage.get("freeze", 0)
    left = flops - flops_after(config, stages, number, frozen)
    return frozen + round(left / update_flops(config, stage["layers"]))


def _linear(updates: int, ramp: int, peak: float, begun: float, ended: float) -> list[list[float]]:
    """Part of the line from `peak` to 0 over the budget; `begun` and `ended` are shares of it."""
    if ramp == 0:
        return [[0, _digits(peak * (1 - begun))], [updates, _digits(peak * max(0, 1 - ended))]]
    top = begun + (ended - begun) * ramp / updates
    points = [[ramp, _digits(peak * (1 - top))], [updates, _digits(peak * max(0, 1 - ended))]]
    return [[0, 0.0], *points]


def _stable(updates: int, ramp: int, peak: float, decay: int, key: str) -> list[list[float]]:
    """Rise, plateau, and a fall over the last `decay` updates (0: none)."""
    if ramp + decay > updates:
        raise UserError(
            f"config key {key}: its {updates} updates hold no rise of {ramp} and fall of {decay}: "
            "lower decay or rewarm, or leave the last stage more of the budget"
        )
    points = {0: 0.0 if ramp else peak, ramp: peak, updates - decay: peak}
    return [[update, rate] for update, rate in (points | {updates: 0.0 if decay else peak}).items()]


def lengthened(stage: Config, runs: Sequence[str]) -> Stage:
    """A last stage with the updates that earlier stages left unused when they ended by their slope.

    `runs` are the run.json of the stages in `rest_of`, where recipes.trained_stage says what an
    update of each is worth and how many were planned. The rate's longest level part gets them, its
    longest part if none is level.
    """
    extra = 0.0
    for path, (worth, planned) in zip(runs, stage.get("rest_of", ()), strict=True):
        with open(path, encoding="utf-8") as file:
            extra += worth * (planned - json.load(file)["config"]["stage"]["updates"])
    points = [list(point) for point in stage["lr"]]
    parts = [(low == high, end - start) for (start, low), (end, high) in pairwise(points)]
    for point in points[parts.index(max(parts)) + 1 :]:
        point[0] += round(extra)
    return {**stage, "lr": points, "updates": stage["updates"] + round(extra)}


def lr_until(points: list[list[float]], updates: int) -> list[list[float]]:
    """The part of a piecewise linear rate that its first `updates` updates see."""
    for (start, low), (end, high) in pairwise(points):
        if start < updates <= end:
            rate = low + (high - low) * (updates - start) / (end - start)
            return [*(point for point in points if point[0] < updates), [updates, rate]]
    return points


def _digits(rate: float) -> float:
    """Four digits, so that a configuration printed or stored says the same rate."""
    return float(f"{rate:.4g}")
