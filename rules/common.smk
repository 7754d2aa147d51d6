# Names and paths shared by the rule files. Anything with logic is in the package.
from stackbert import failures
from stackbert.config import check, ordered, read_texts
from stackbert.errors import UserError
from stackbert.recipes import resolve, seeded, stage_folders, stage_name
from stackbert.version import VERSION

try:
    read_texts(config, os.path.join(workflow.basedir, "workflow"))
    check(config, os.path.join(workflow.basedir, "workflow"))
except UserError as error:
    sys.exit(f"error: {error}")

config.update(resolve(config))
RESULTS = config["results"]
RECIPES = list(
    config["recipes"]
)  # in the order given, which is that of tables and figures
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
    """The config's entry of a stage."""
    return config["recipes"][wildcards.recipe][stage_number(wildcards)]


def stage_before(wildcards):
    """The config's entry of the stage that a stage grows from."""
    return config["recipes"][wildcards.recipe][stage_number(wildcards) - 1]


def shallower_checkpoint(wildcards):
    """Checkpoint that a stage grows from."""
    before = stage_number(wildcards) - 1
    return stages(wildcards.recipe, "checkpoint.pt")[before]


def learning(wildcards):
    """What growing needs beside the checkpoint if it learns how: nothing for most operators."""
    updates = stage_settings(wildcards).get("learn_updates")
    if updates is None:
        return None
    return {"updates": updates, "data": f"{RESULTS}/bin", "config": TRAINING}


def initial_weights(wildcards):
    """Weights that a stage starts from: none for the first."""
    if stage_number(wildcards) == 0:
        return []
    return f"{RESULTS}/pretrain/{wildcards.recipe}/{wildcards.stage}/grown.pt"
