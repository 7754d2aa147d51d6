"""Finds what a run has trained under its results folder, and loads it without fairseq."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stackbert.checkpoint import load_checkpoint
from stackbert.errors import UserError
from stackbert.glue.tasks import Task
from stackbert.growth import depth
from stackbert.model import Encoder, ModelConfig
from stackbert.recipes import stage_folders

Config = Mapping[str, Any]
_ENCODER, _CLASSIFIER = "encoder.", "classifier."


@dataclass(frozen=True)
class Trained:
    """A trained model: weights under the names of training, shape, configuration of its run."""

    weights: dict[str, Tensor]
    shape: ModelConfig
    config: Config

    def encoder(self) -> Encoder:
        """The encoder with its weights, for inference."""
        encoder = Encoder(self.shape)
        encoder.load_state_dict(_part(self.weights, _ENCODER))
        return encoder.eval()

    def classifier(self) -> nn.Linear:
        """The classifier of a fine-tuned model."""
        weights = _part(self.weights, _CLASSIFIER)
        classifier = nn.Linear(self.shape.width, len(weights["bias"]))
        classifier.load_state_dict(weights)
        return classifier.eval()


def _part(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def read_run(checkpoint: str | Path) -> dict[str, Any]:
    """The run.json beside a checkpoint."""
    path = Path(checkpoint).with_name("run.json")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run snakemake again, which writes it") from None
    except ValueError:
        raise UserError(f"{path} is damaged: delete it and run snakemake again") from None


def load(checkpoint: str | Path, fine_tuned: bool = False) -> Trained:
    """Load a checkpoint of pre-training or of a task, with the run.json beside it."""
    weights = load_checkpoint(checkpoint)["model"]
    if f"{_ENCODER}tokens.weight" not in weights:
        raise UserError(
            f"{checkpoint} holds no encoder: it is no StackingBERT model, or its task always "
            "answers with the most frequent class"
        )
    config = read_run(checkpoint)["config"]
    model = config["model"]
    vocab_size, width = weights[f"{_ENCODER}tokens.weight"].shape
    shape = ModelConfig(
        layers=depth(weights),
        width=width,
        heads=model["heads"],
        feed_forward=weights[f"{_ENCODER}layers.0.up.bias"].shape[0],
        vocab_size=vocab_size,
        max_positions=config["glue" if fine_tuned else "pretrain"]["max_positions"],
        dropout=model["dropout"],
        attention_dropout=model["attention_dropout"],
    )
    return Trained({name: value.float() for name, value in weights.items()}, shape, config)


def pretrained_checkpoint(results: str | Path, recipe: str | None = None) -> Path:
    """Checkpoint of a recipe's last stage; without a name, of the configuration's first recipe.

    Raises UserError if there is none.
    """
    found = list(Path(results).glob("pretrain/*/L*/checkpoint.pt"))
    found.sort(key=lambda path: (int(path.parent.name[1:]), path))
    last: dict[str, list[Path]] = {}
    for path in found:
        for name in _results_of(path):
            if recipe in (None, name):
                last[name] = [path]
    if not last:
        stages = ", ".join(f"{p.parent.parent.name}/{p.parent.name}" for p in found) or "nothing"
        raise UserError(
            f"{Path(results, 'pretrain')} has no pre-trained model"
            f"{f' of the recipe {recipe}' if recipe else ''} (trained so far: {stages}): run "
            "`snakemake --cores all pretrain` first, or give another folder with --results"
        )
    return _first_recipe(last)[0]


def _results_of(checkpoint: Path) -> list[str]:
    """The recipes that end with this checkpoint: recipes may share stages."""
    recipes = read_run(checkpoint)["config"]["recipes"]
    folder = "/".join(checkpoint.parts[-3:-1])
    return [name for name in recipes if stage_folders(recipes, name)[-1] == folder]


def _first_recipe(found: Mapping[str, list[Path]]) -> list[Path]:
    """The models of the recipe that comes first in the configuration of the run."""
    order = list(read_run(next(iter(found.values()))[0])["config"]["recipes"])
    return found[min(found, key=lambda name: order.index(name) if name in order else len(order))]


def task_checkpoint(
    results: str | Path, task: Task, recipe: str | None = None, seed: int | None = None
) -> Path:
    """Model of a fine-tuned task; of several seeds that with the best score on the dev set.

    Raises UserError if there is none.
    """
    folder = f"{escape(recipe) if recipe else '*'}/{escape(task.name)}"
    runs: dict[str, list[Path]] = {}
    for path in sorted(Path(results, "glue").glob(f"{folder}/seed*/model.pt")):
        if seed is None or path.parent.name == f"seed{seed}":
            runs.setdefault(path.parents[2].name, []).append(path)
    if not runs:
        wanted = f"{f' of the recipe {recipe}' if recipe else ''}"
        wanted += f" with seed {seed}" if seed is not None else ""
        tasks = sorted(
            {path.parents[1].name for path in Path(results, "glue").glob("*/*/seed*/model.pt")}
        )
        raise UserError(
            f"{Path(results, 'glue')} has no model of {task.name}{wanted} (tasks there: "
            f"{', '.join(tasks) or 'none'}): add it to glue.tasks and run `snakemake --cores all "
            "glue`, or give another folder with --results"
        )
    return best(_first_recipe(runs), task)


def best(models: Sequence[str | Path], task: Task) -> Path:
    """The model of a task's runs with the best dev score in its first metric."""

    def dev_score(model: str | Path) -> float:
        scores = Path(model).with_name("scores.json").read_text(encoding="utf-8")
        return json.loads(scores)["metrics"][task.metrics[0]]

    return Path(max(models, key=dev_score))


def device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
