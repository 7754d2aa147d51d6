"""Recipes as they are trained: schedules and comparisons expanded, shared stages found."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stackbert.errors import UserError
from stackbert.flops import update_flops
from stackbert.schedule import expand

Config = Mapping[str, Any]
Recipes = Mapping[str, Sequence[Config]]


def resolve(config: Config) -> dict[str, Any]:
    """The configuration with every recipe a plain list of stages, once per seed of `compare`.

    With `compare` only its arms are trained, each as `ARM-seedN`, and `control` becomes the
    control's recipe of the first seed. To resolve what is resolved changes nothing.
    """
    recipes = {
        name: expand(config, name) if isinstance(recipe, Mapping) else recipe
        for name, recipe in config["recipes"].items()
    }
    control = config["control"]
    if config.get("compare"):
        arms, seeds = config["compare"]["arms"], config["compare"]["seeds"]
        names = seeded(config)
        control = names.get(control, [control])[0]
        done = {name for arm in names.values() for name in arm} <= recipes.keys()
        if not done:
            missing = [arm for arm in arms if arm not in recipes]
            if missing:
                raise UserError(
                    f"config key compare.arms: given {', '.join(missing)}, allowed recipes: "
                    f"{', '.join(recipes)}"
                )
            recipes = {
                f"{arm}-seed{seed}": [_reseeded(stage, seed) for stage in recipes[arm]]
                for arm in arms
                for seed in seeds
            }
    return {**config, "recipes": recipes, "control": control}


def seeded(config: Config) -> dict[str, list[str]]:
    """The recipes of each arm, one per seed; without `compare` each recipe is an arm of its own."""
    compare = config.get("compare")
    if not compare:
        return {name: [name] for name in config["recipes"]}
    return {arm: [f"{arm}-seed{seed}" for seed in compare["seeds"]] for arm in compare["arms"]}


def _reseeded(stage: Config, seed: int) -> dict[str, Any]:
    """A stage with a seed that no other stage or run of the comparison has, short of thousands."""
    return {**stage, "seed": 1000 * seed + stage["seed"]}


def trained_stage(config: Config, recipe: str, number: int) -> Config:
    """A stage of a resolved configuration with what its training needs to know of the others.

    `until_drop`: its `until_slope` (nats per 10^15 FLOPs) in nats per update. `rest_of`, for a last
    stage: of each stage before that ends by its slope, what an update is worth in updates of this
    one, and how many were planned.
    """
    stages = config["recipes"][recipe]
    stage = dict(stages[number])
    if "until_slope" in stage:
        stage["until_drop"] = stage["until_slope"] * update_flops(config, stage["layers"]) / 1e15
    own = update_flops(config, stage["layers"])
    early = [stages[place] for place in early_stages(stages)]
    if early and number == len(stages) - 1:
        worth = [update_flops(config, each["layers"]) / own for each in early]
        stage["rest_of"] = [[w, each["updates"]] for w, each in zip(worth, early, strict=True)]
    return stage


def early_stages(stages: Sequence[Config]) -> list[int]:
    """Numbers of the stages that may end before their last update."""
    return [number for number, stage in enumerate(stages) if "until_slope" in stage]


def stage_name(stage: Config) -> str:
    """Name of a stage's folder: L and its depth."""
    return f"L{stage['layers']}"


def stage_folder(recipes: Recipes, recipe: str, number: int) -> str:
    """Where stage `number` of a recipe lies below `pretrain`, such as `stacking/L3`.

    It is trained once for all recipes whose stages up to it are the same, in the first's folder.
    """
    history = list(recipes[recipe][: number + 1])
    owner = next(name for name, stages in recipes.items() if list(stages[: number + 1]) == history)
    return f"{owner}/{stage_name(history[-1])}"


def stage_folders(recipes: Recipes, recipe: str) -> list[str]:
    """The folders of all stages of a recipe, in order."""
    return [stage_folder(recipes, recipe, number) for number in range(len(recipes[recipe]))]


def trained_stages(recipes: Recipes) -> Iterator[tuple[str, int]]:
    """Recipe and number of every stage that is trained, a shared one once."""
    for recipe, stages in recipes.items():
        for number, folder in enumerate(stage_folders(recipes, recipe)):
            if folder == f"{recipe}/{stage_name(stages[number])}":
                yield recipe, number
