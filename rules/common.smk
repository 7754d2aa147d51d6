# Names and paths shared by the rule files. Anything with logic is in the package.
import yaml

from stackbert import failures
from stackbert.config import check, ordered, read_texts
from stackbert.errors import UserError
from stackbert.recipes import (
    early_stages,
    resolve,
    seeded,
    stage_folders,
    stage_name,
    trained_stage,
)
from stackbert.report.config_doc import overlaid
from stackbert.version import VERSION

try:
    read_texts(config, os.path.join(workflow.basedir, "workflow"))
    check(config, os.path.join(workflow.basedir, "workflow"))
except UserError as error:
    sys.exit(f"error: {error}")

# Snakemake puts an overlay's recipes before those of config.yaml. They come after: the first recipe
# with a stage trains it for all, so that a new one leaves the others' stages where they are.
with open(os.path.join(workflow.basedir, "config.yaml"), encoding="utf-8") as file:
    config["recipes"] = overlaid(yaml.safe_load(file)["recipes"], config["recipes"])
config.update(resolve(config))
RESULTS = config["results"]
RECIPES = list(config["recipes"])  # in the order of tables and figures
config.update(ordered(config))
config["recipes"] = {recipe: config["recipes"][recipe] for recipe in RECIPES}


# What of the configuration a stage's training depends on, beside its own entry.
TRAINING = {
    key: config[key] for key in ("model", "pretrain", "seed", "threads", "device")
}


wildcard_constraints:
    recipe="|".join(map(re.escape, RECIPES)),
    stage=r"L\d+",
    seed=r"\d+",


def stages(recipe, name):
    """File `name` of each of a recipe's stages in order; a shared stage lies in one recipe's folder."""
    return [
        f"{RESULTS}/pretrain/{folder}/{name}"
        for folder in stage_folders(config["recipes"], recipe)
    ]


def last_stage(recipe, name="checkpoint.pt"):
    """File `name` of the last stage, whose checkpoint is the recipe's result."""
    return stages(recipe, name)[-1]


def stage_number(wildcards):
    """Position of a stage in its recipe, from 0."""
    names = [stage_name(stage) for stage in config["recipes"][wildcards.recipe]]
    return names.index(wildcards.stage)


def stage_settings(wildcards):
    """The config's entry of a stage, with what it must know of the recipe's other stages."""
    return trained_stage(config, wildcards.recipe, stage_number(wildcards))


def stage_before(wildcards):
    """The config's entry of the stage that a stage grows from."""
    return config["recipes"][wildcards.recipe][stage_number(wildcards) - 1]


def shallower_checkpoint(wildcards):
    """Checkpoint that a stage grows from."""
    before = stage_number(wildcards) - 1
    return stages(wildcards.recipe, "checkpoint.pt")[before]


def early_runs(wildcards):
    """For a recipe's last stage, the run.json of stages that may have ended before their time."""
    if "rest_of" not in stage_settings(wildcards):
        return []
    runs = stages(wildcards.recipe, "run.json")
    return [
        runs[number] for number in early_stages(config["recipes"][wildcards.recipe])
    ]


def growth_training(wildcards):
    """What growing needs beside the checkpoint if it trains: nothing for most operators."""
    stage = stage_settings(wildcards)
    if "learn_updates" not in stage and "fork_updates" not in stage:
        return None
    return {"stage": stage, "data": f"{RESULTS}/bin", "config": TRAINING}


def initial_weights(wildcards):
    """Weights that a stage starts from: none for the first."""
    if stage_number(wildcards) == 0:
        return []
    return f"{RESULTS}/pretrain/{wildcards.recipe}/{wildcards.stage}/grown.pt"
