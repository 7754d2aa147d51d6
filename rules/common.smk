# Names and paths shared by the rule files. Anything with logic is in the package.
from stackbert import failures
from stackbert.config import check, ordered, read_texts
from stackbert.errors import UserError
from stackbert.version import VERSION

try:
    read_texts(config, os.path.join(workflow.basedir, "workflow"))
    check(config, os.path.join(workflow.basedir, "workflow"))
except UserError as error:
    sys.exit(f"error: {error}")

RESULTS = config["results"]
RECIPES = list(
    config["recipes"]
)  # in the order given, which is that of tables and figures
config.update(ordered(config))
config["recipes"] = {recipe: config["recipes"][recipe] for recipe in RECIPES}


wildcard_constraints:
    recipe="|".join(map(re.escape, RECIPES)),
    stage=r"L\d+",
    seed=r"\d+",


def stages(recipe):
    """Names of a recipe's stages in order, such as L3, L6, L12."""
    return [f"L{stage['layers']}" for stage in config["recipes"][recipe]]


def last_stage(recipe):
    """Name of the stage whose checkpoint is the recipe's result."""
    return stages(recipe)[-1]


def stage_number(wildcards):
    """Position of a stage in its recipe, from 0."""
    return stages(wildcards.recipe).index(wildcards.stage)


def stage_settings(wildcards):
    """The config's entry of a stage."""
    return config["recipes"][wildcards.recipe][stage_number(wildcards)]


def stage_before(wildcards):
    """The config's entry of the stage that a stage grows from."""
    return config["recipes"][wildcards.recipe][stage_number(wildcards) - 1]


def shallower_checkpoint(wildcards):
    """Checkpoint that a stage grows from."""
    return f"{RESULTS}/pretrain/{wildcards.recipe}/L{stage_before(wildcards)['layers']}/checkpoint.pt"


def initial_weights(wildcards):
    """Weights that a stage starts from: none for the first."""
    if stage_number(wildcards) == 0:
        return []
    return f"{RESULTS}/pretrain/{wildcards.recipe}/{wildcards.stage}/grown.pt"
