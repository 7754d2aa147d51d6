"""The model card of an export, filled from the run."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stackbert.glue.tasks import Task
from stackbert.trained import Trained

Row = dict[str, str]
PACKAGES = ("torch", "ve-fairseq", "subword-nmt", "sacremoses", "sentencex", "snakemake")


@dataclass(frozen=True)
class Facts:
    """What a card is filled from: the model, its run.json, and the tables of the run."""

    recipe: str
    task: Task | None
    model: Trained
    run: Mapping[str, Any]
    tables: Mapping[str, Any]  # paths: curve, corpus, glue

    def rows(self, table: str) -> list[Row]:
        """The rows of one of the tables, as column -> text."""
        path = self.tables[table]
        with open(path if isinstance(path, str) else path[0], encoding="utf-8") as file:
            return list(csv.DictReader(file, delimiter="\t"))

    @property
    def stages(self) -> list[Mapping[str, Any]]:
        """The recipe's stages in the configuration."""
        return self.model.config["recipes"][self.recipe]


def card(facts: Facts) -> str:
    """README.md of an exported folder: Markdown with the header that model hubs read."""
    parts = [
        _header(facts),
        _summary(facts),
        "## Use",
        _use(facts),
        "## Training data",
        _data(facts),
        "## Pre-training",
        _recipe(facts),
        "## Results",
        _results(facts),
        "## Limits",
        _limits(facts),
        "## How it was made",
        _provenance(facts),
    ]
    return "\n\n".join(parts) + "\n"


def table(header: list[str], rows: list[list[Any]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _header(facts: Facts) -> str:
    pipeline = "text-classification" if facts.task else "fill-mask"
    fields = ["language: en", "library_name: transformers", f"pipeline_tag: {pipeline}"]
    return "\n".join(["---", *fields, "tags: [stackingbert, progressive-stacking]", "---"])


def _summary(facts: Facts) -> str:
    shape, weights = facts.model.shape, facts.model.weights.values()
    depths = [str(stage["layers"]) for stage in facts.stages]
    how = f"grown {' -> '.join(depths)} layers" if len(depths) > 1 else "trained at full depth"
    use = f", fine-tuned on {facts.task.name} (seed {facts.run['seed']})" if facts.task else ""
    title = f"# StackingBERT, recipe {facts.recipe}{use}"
    return (
        f"{title}\n\nA lower-case English encoder with {shape.layers} layers of width "
        f"{shape.width} ({sum(w.numel() for w in weights):,} parameters), pre-trained from raw "
        f"text ({how}){use}. The method is that of Gong et al., *Efficient Training of BERT by "
        "Progressively Stacking*, ICML 2019."
    )


def _use(facts: Facts) -> str:
    intro = (
        "`pip install torch transformers sacremoses subword-nmt`, transformers 5. The folder "
        "needs no network; `trust_remote_code` runs the Python files in it."
    )
    return f"{intro}\n\n```python\n{_snippet(facts.task)}```\n\n{_notes(facts)}"


def _snippet(task: Task | None) -> str:
    if task is None:
        return (
            "from transformers import pipeline\n\n"
            'fill = pipeline("fill-mask", model="path/to/this/folder", trust_remote_code=True)\n'
            'print(fill("the capital of france is <mask> ."))\n'
        )
    texts = '"A man plays a guitar.", "Someone makes music."' if task.pair else '"A good film."'
    kind = "AutoModelForSequenceClassification"
    answer = {
        "regression": "print(model.config.score_scale * logits + model.config.score_shift)",
        "binary": "print(logits.sigmoid())",
    }.get(task.loss, "print(model.config.id2label[logits.argmax().item()])")
    return (
        f"from transformers import {kind}, AutoTokenizer\n\n"
        'folder = "path/to/this/folder"\n'
        "tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)\n"
        f"model = {kind}.from_pretrained(folder, trust_remote_code=True)\n"
        f'tokens = tokenizer({texts}, truncation=True, return_tensors="pt")\n'
        f"logits = model(**tokens).logits\n{answer}\n"
    )


def _notes(facts: Facts) -> str:
    task, longest = facts.task, facts.model.shape.max_positions
    notes = [
        "The tokenizer takes raw text: cleaning, Moses' tokenizer, lower case and byte pairs are "
        f"in it. At most {longest} tokens fit (`truncation=True`).",
        "Its `token_type_ids` are 1 for `<cls>` and the first text, 0 for the second: the other "
        "way round than BERT's.",
    ]
    if task and task.loss == "regression":
        notes.append("The logit is (score - 3) / 2, as in training: score = 2 x logit + 3.")
    if task and task.loss == "binary":
        notes.append(
            f"The one logit is that of the label {task.labels[-1]} (above 0: more likely)."
        )
    if task and task.symmetric:
        notes.append("The scores below average the logits of both orders of a pair.")
    return "\n".join(f"* {note}" for note in notes)


def _data(facts: Facts) -> str:
    corpus, counts = facts.model.config["corpus"], {}
    for row in facts.rows("corpus"):
        counts[row["step"], row["counter"]] = row["value"]
    words, tokens = (
        f"{int(float(counts.get(key, 0))):,}"
        for key in (("tokenize", "words"), ("binarize", "train_tokens"))
    )
    # checksums say nothing to a reader
    named = [
        f"{k} `{v}`" for k, v in (corpus["dump"] or {}).items() if v and not k.startswith("sha")
    ]
    sources = [f"Wikipedia dump: {', '.join(named)}"] if named else []
    if corpus.get("books"):
        sources.append(f"text files and books: {', '.join(f'`{b}`' for b in corpus['books'])}")
    return (
        f"{'; '.join(sources)}. After cleaning {words} words, {tokens} tokens of "
        f"{facts.model.shape.vocab_size:,} types for training.\n\n"
        "Licence of the data: the text of Wikipedia is under CC BY-SA 4.0 and the GFDL, which ask "
        "to name its authors and to share alike. Other text has the licence of its source"
        + (f", and so have the examples of {facts.task.name}." if facts.task else ".")
    )


def _recipe(facts: Facts) -> str:
    end, pretrain = facts.rows("curve")[-1], facts.model.config["pretrain"]
    stages = [
        [
            stage["layers"],
            f"{stage['updates']:,}",
            " -> ".join(f"{rate:g}" for _, rate in stage["lr"]),
            stage["seed"],
            stage.get("grow", "random weights"),
        ]
        for stage in facts.stages
    ]
    return (
        table(["layers", "updates", "learning rate", "seed", "starts from"], stages)
        + f"\n\nMasked-token and next-sentence loss, {pretrain['tokens_per_update']:,} tokens per "
        f"update, at most {pretrain['max_positions']} positions. At the end: validation loss "
        f"**{float(end['valid_mlm_loss']):.3f} nats** per masked token, after "
        f"{int(end['tokens']):,} tokens and {float(end['seconds']):,.0f} seconds of training."
    )


def _results(facts: Facts) -> str:
    rows = [row for row in facts.rows("glue") if row["recipe"] == facts.recipe]
    if facts.task:
        rows = [row for row in rows if row["task"] == facts.task.name]
    if not rows:
        return "It was not fine-tuned on any task in this run."
    columns = ["task", "metric", "seeds", "median", "min", "max"]
    text = "On the development sets, over the seeds of fine-tuning:\n\n"
    text += table(columns, [[row[column] for column in columns] for row in rows])
    if facts.task:
        text += (
            "\n\nThis folder has the run with the best development score, so its own score is the "
            "best of these and higher than what to expect of new data."
        )
    return text


def _limits(facts: Facts) -> str:
    limits = [
        "English only, lower case only; accents are kept, other scripts mostly become `<unk>`.",
        "It repeats what its training text holds, prejudice and errors included; it knows nothing "
        "later than that text.",
        "A score on a development set is no promise for other data.",
    ]
    if facts.model.shape.width < 512:
        limits.insert(0, "A small demonstration of the method, far below BERT-base in quality.")
    return "\n".join(f"* {limit}" for limit in limits)


def _provenance(facts: Facts) -> str:
    run = facts.run
    machine, versions = run["machine"], run["versions"]
    commit = (run["commit"] or "unknown") + (" with local changes" if run["dirty"] else "")
    packages = ", ".join(f"{name} {versions[name]}" for name in PACKAGES if name in versions)
    gpus = ", ".join(machine["gpus"]) or "none"
    return (
        f"Commit {commit}, {run['written']}, Python {run['python']}, {packages}. Processor "
        f"{machine['cpu']}, {machine['cores']} cores, GPU: {gpus}."
    )
