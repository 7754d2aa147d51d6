"""Checks a configuration before any job starts: schema first, then what a schema cannot say."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import reduce
from itertools import pairwise
from operator import getitem
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match

from stackbert.errors import UserError
from stackbert.growth import check_growth
from stackbert.recipes import resolve

Config = Mapping[str, Any]


def check(config: Config, workflow: str | Path) -> None:
    """Raise UserError, naming the key, what was given and what is allowed, if `config` is wrong.

    `workflow` is the folder of the schema and of the table of tasks.
    """
    error = best_match(_validator(workflow).iter_errors(config))
    if error is not None:
        raise UserError(_describe(error))
    _check_dump(config["corpus"]["dump"], config["corpus"]["books"])
    _check_sizes(config)
    if config["control"] not in config["recipes"]:
        _refuse("control", config["control"], f"one of the recipes: {', '.join(config['recipes'])}")
    recipes = resolve(config)
    for name, stages in recipes["recipes"].items():
        _check_recipe(name, stages)
    if recipes["control"] not in recipes["recipes"]:
        _refuse("control", config["control"], f"one of: {', '.join(config['compare']['arms'])}")
    with open(Path(workflow) / "resources" / "glue_tasks.yaml", encoding="utf-8") as file:
        tasks = yaml.safe_load(file)
    for task in config["glue"]["tasks"]:
        if task not in tasks:
            _refuse("glue.tasks", task, f"one of: {', '.join(tasks)}")


def read_texts(config: dict[str, Any], workflow: str | Path) -> None:
    """Give values that are texts where the schema wants something else that type, in place.

    Snakemake hands over what is nested in `--config 'glue={subset: true}'` as texts.
    """
    for error in list(_validator(workflow).iter_errors(config)):
        if error.validator == "type" and isinstance(error.instance, str):
            *way, last = error.absolute_path
            with suppress(ValueError):  # not JSON: for the check to refuse
                reduce(getitem, way, config)[last] = json.loads(error.instance.lower())


def ordered(value: Any) -> Any:
    """The same value with the keys of nested mappings sorted, lists in their own order.

    Snakemake compares parameters as text: without this, moving a line of the configuration would
    train again.
    """
    if isinstance(value, Mapping):
        return {key: ordered(value[key]) for key in sorted(value)}
    return [ordered(item) for item in value] if isinstance(value, list) else value


def _validator(workflow: str | Path) -> Draft202012Validator:
    with open(Path(workflow) / "schemas" / "config.schema.yaml", encoding="utf-8") as file:
        return Draft202012Validator(yaml.safe_load(file))


def _refuse(key: str, given: Any, allowed: str) -> None:
    shown = json.dumps(given, default=str)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    raise UserError(f"config key {key}: given {shown}, allowed {allowed}")


def _describe(error: ValidationError) -> str:
    """One line for one violation of the schema."""
    key = ""
    for part in error.absolute_path:
        key += f"[{part}]" if isinstance(part, int) else f".{part}"
    key = key.lstrip(".") or "(top level)"
    given = json.dumps(error.instance, default=str)
    given = given if len(given) <= 80 else given[:77] + "..."
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        unknown = [name for name in error.instance if name not in known]
        where = f" in {key}" if error.absolute_path else ""
        return f"config key {', '.join(unknown)}{where} is unknown, allowed: {', '.join(known)}"
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"config key {key}: {', '.join(missing)} missing, given {given}"
    allowed = _ALLOWED.get(error.validator, "{0}: {1}")
    rule = error.validator_value
    rule = ", ".join(map(str, rule)) if isinstance(rule, list) else rule
    return f"config key {key}: given {given}, allowed {allowed.format(error.validator, rule)}"


_ALLOWED = {
    "type": "type {1}",
    "enum": "one of: {1}",
    "minimum": "at least {1}",
    "maximum": "at most {1}",
    "exclusiveMinimum": "more than {1}",
    "exclusiveMaximum": "less than {1}",
    "minItems": "at least {1} entries",
    "maxItems": "at most {1} entries",
    "minProperties": "at least {1} entries",
    "uniqueItems": "each value once",
    "pattern": "text like {1}",
}


def _check_dump(dump: Config, books: Sequence[str]) -> None:
    given = [key for key in ("package", "url", "path") if dump.get(key)]
    if len(given) != 1 and (given or not books):
        _refuse("corpus.dump", dict(dump), "one of package, url, path; none only with corpus.books")
    if bool(dump.get("package")) != bool(dump.get("member")):
        _refuse("corpus.dump.member", dump.get("member"), "a file of the package, null without one")


def _check_sizes(config: Config) -> None:
    model, pretrain = config["model"], config["pretrain"]
    if model["width"] % (2 * model["heads"]):
        _refuse("model.width", model["width"], f"a multiple of 2 x heads ({2 * model['heads']})")
    together = pretrain["tokens_per_batch"] * pretrain["devices"]
    if pretrain["tokens_per_update"] % together:
        _refuse(
            "pretrain.tokens_per_update",
            pretrain["tokens_per_update"],
            f"a multiple of pretrain.tokens_per_batch x pretrain.devices ({together})",
        )
    if pretrain["max_positions"] > pretrain["tokens_per_batch"]:
        _refuse(
            "pretrain.max_positions",
            pretrain["max_positions"],
            f"at most pretrain.tokens_per_batch ({pretrain['tokens_per_batch']})",
        )
    if config["glue"]["max_positions"] > pretrain["max_positions"]:
        # Positions beyond those of pre-training were never seen by the model.
        _refuse(
            "glue.max_positions",
            config["glue"]["max_positions"],
            f"at most pretrain.max_positions ({pretrain['max_positions']})",
        )


def _check_recipe(name: str, stages: list[Config]) -> None:
    for number, stage in enumerate(stages):
        key = f"recipes.{name}[{number}]"
        if (number > 0) != ("grow" in stage):
            _refuse(f"{key}.grow", stage.get("grow"), "for every stage but the first")
        updates = [point[0] for point in stage["lr"]]
        rising = all(first < second for first, second in pairwise(updates))
        if updates[0] != 0 or updates[-1] != stage["updates"] or not rising:
            _refuse(f"{key}.lr", stage["lr"], f"updates that rise from 0 to {stage['updates']}")
        _check_growth_options(key, stage)
        if "until_slope" in stage and stage is stages[-1]:
            _refuse(f"{key}.until_slope", stage["until_slope"], "in a stage before the last")
    for number, (shallow, deep) in enumerate(pairwise(stages), start=1):
        try:
            for operator in _operators(deep):
                check_growth(shallow["layers"], deep["layers"], operator)
        except UserError as error:
            raise UserError(f"config key recipes.{name}[{number}].layers: {error}") from None


# Keys that go with one operator, and with it always.
_OPTIONS = {"mask_updates": "masked", "learn_updates": "learned"}
_FORKED = ("stack", "interpolate", "middle", "identity")  # those without options of their own
# Operators whose new layers have no layer whose moments they could take.
_NO_MOMENTS = {"identity": ("reset", "keep"), "learned": ("reset",)}


def _check_growth_options(key: str, stage: Config) -> None:
    """Refuse options of growing that do not go together."""
    operator = stage.get("grow")
    if isinstance(operator, list):
        other = [name for name in operator if name not in _FORKED]
        if other or "freeze" in stage:
            _refuse(f"{key}.grow", operator, f"to try several of {', '.join(_FORKED)}, no freeze")
        if not 0 < stage.get("fork_updates", 0) <= stage["updates"]:
            allowed = f"1 to updates ({stage['updates']}) with several operators to try"
            _refuse(f"{key}.fork_updates", stage.get("fork_updates"), allowed)
    elif "fork_updates" in stage:
        _refuse(f"{key}.fork_updates", stage["fork_updates"], "only with a list of operators")
    for option, needed in _OPTIONS.items():
        if (option in stage) != (operator == needed):
            _refuse(f"{key}.{option}", stage.get(option), f"with grow: {needed}, and needed there")
    for option in ("moments", "freeze"):
        if option in stage and not operator:
            _refuse(f"{key}.{option}", stage[option], "only in a stage that grows (grow)")
    for option in ("mask_updates", "freeze"):
        if stage.get(option, 0) >= stage["updates"]:
            # The stage must end with every layer in full and everything trained.
            _refuse(f"{key}.{option}", stage[option], f"less than updates ({stage['updates']})")
    for name in _operators(stage):
        moments, known = stage.get("moments", "reset"), _NO_MOMENTS.get(name)
        if known and moments not in known:
            _refuse(f"{key}.moments", moments, f"{' or '.join(known)} with grow: {name}")


def _operators(stage: Config) -> list[str]:
    """The operator of a stage, or the several to try; none for a first stage."""
    operator = stage.get("grow", [])
    return operator if isinstance(operator, list) else [operator]
