"""Writes one model as a folder for transformers: weights, tokenizer, code, model card."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch

from stackbert.errors import write_atomic
from stackbert.export.bundle import WEIGHTS, bundle
from stackbert.export.card import Facts, card
from stackbert.glue.tasks import Task
from stackbert.glue.tasks import task as glue_task
from stackbert.trained import Trained, best, load, read_run

SCORE = {"score_scale": 2.0, "score_shift": 3.0}  # of a regression: score = scale x logit + shift


def export(recipe: str, task: str | None, inputs: Mapping[str, Any], folder: str | Path) -> None:
    """Write the pre-trained model of `recipe`, or its model of `task`, to `folder`.

    `inputs` has `models` (one checkpoint, or a task's for each seed, of which the one with the best
    dev score is taken), `codes`, `dictionary`, and the tables `curve`, `corpus` and `glue`.
    """
    folder = Path(folder)
    this = glue_task(task) if task else None
    chosen = best(inputs["models"], this) if this else Path(inputs["models"][0])
    model = load(chosen, fine_tuned=this is not None)
    facts = Facts(recipe, this, model, read_run(chosen), inputs)
    texts = {
        "README.md": card(facts),
        "config.json": _json(model_config(model, this)),
        "tokenizer_config.json": _json(_tokenizer_config(model)),
        **bundle(),
    }
    for name, text in texts.items():
        write_atomic(folder / name, text)
    for name, source in (("dict.txt", inputs["dictionary"]), ("bpe.codes", inputs["codes"])):
        shutil.copyfile(source, folder / name)
    weights = safetensors.torch.save(model.weights, metadata={"format": "pt"})
    write_atomic(folder / WEIGHTS, weights)


def model_config(model: Trained, task: Task | None) -> dict[str, Any]:
    """config.json: the shape under transformers' names, its classes, and a task's labels."""
    shape = model.shape
    config: dict[str, Any] = {
        "model_type": "stackbert",
        "architectures": ["StackBertForSequenceClassification" if task else "StackBertForMaskedLM"],
        "auto_map": {
            "AutoConfig": "configuration_stackbert.StackBertConfig",
            "AutoModel": "modeling_stackbert.StackBertModel",
            **{
                f"AutoModel{kind}": f"modeling_stackbert.StackBert{kind}"
                for kind in ("ForMaskedLM", "ForSequenceClassification")
            },
        },
        "dtype": "float32",
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.feed_forward,
        "max_position_embeddings": shape.max_positions,
        "hidden_dropout_prob": shape.dropout,
        "attention_probs_dropout_prob": shape.attention_dropout,
        "bos_token_id": 0,
        "pad_token_id": shape.padding,
        "eos_token_id": 2,
        "sep_token_id": 2,
    }
    return config | (_task_config(task) if task else {})


def _task_config(task: Task) -> dict[str, Any]:
    """Labels and loss in transformers' terms; one logit tells the last label's probability."""
    if task.loss == "regression":
        labels, problem = [task.label], "regression"
    elif task.loss == "binary":
        labels, problem = [task.labels[-1]], "multi_label_classification"
    else:
        labels, problem = list(task.labels), "single_label_classification"
    return {
        "id2label": {str(number): label for number, label in enumerate(labels)},
        "label2id": {label: number for number, label in enumerate(labels)},
        "problem_type": problem,
        "task": task.name,
        "symmetric": task.symmetric,
        **(SCORE if task.loss == "regression" else {}),
    }


def _tokenizer_config(model: Trained) -> dict[str, Any]:
    return {
        "tokenizer_class": "StackBertTokenizer",
        "auto_map": {"AutoTokenizer": ["tokenization_stackbert.StackBertTokenizer", None]},
        "model_max_length": model.shape.max_positions,
    }


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"
