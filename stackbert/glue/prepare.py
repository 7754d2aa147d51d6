"""From a task's files to cleaned, tokenized, BPE-encoded tables, the same for every recipe."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from stackbert.errors import UserError, write_atomic
from stackbert.glue.readers import Example, find_file, read_split
from stackbert.glue.tasks import SPLITS, Task

COLUMNS = ("index", "first", "second", "label")


def prepare(
    task: Task,
    folder: str | Path,
    encode: Callable[[str], str],
    outputs: Mapping[str, str],
    subset: bool,
) -> None:
    """Write a table per split and the counts of what was read.

    `folder` holds the task's files; `encode` is the corpus's way from a line to `@@ ` text;
    `outputs` has a path for each of train, dev, test and counts. A split that the task does not
    have, or a test file that is not there, gives a table without rows.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(
            f"the task folder {folder} is missing; set glue.path to a folder that has it, or to "
            "null to download"
        )
    counts = {
        split: _prepare_split(task, split, folder, encode, outputs, subset) for split in SPLITS
    }
    write_atomic(outputs["counts"], json.dumps({"task": task.name, **counts}, indent=2) + "\n")


def _prepare_split(
    task: Task,
    split: str,
    folder: Path,
    encode: Callable[[str], str],
    outputs: Mapping[str, str],
    subset: bool,
) -> dict[str, int]:
    counts: Counter[str] = Counter(rows=0, broken=0, empty=0)
    examples: Sequence[Example] = []
    if split in task.splits:
        path = find_file(folder, task.splits[split].file)
        if path is not None:
            examples = read_split(task, split, path, subset, counts)
        elif split != "test":
            raise UserError(
                f"{folder / task.splits[split].file} is missing; put GLUE's file there, or set "
                "glue.path to another folder"
            )
    lines = ["\t".join(COLUMNS)]
    for example in examples:
        fields = [example.index, encode(example.first), encode(example.second or "")]
        lines.append("\t".join([*fields, example.label or ""]))
    write_atomic(outputs[split], "\n".join(lines) + "\n")
    return dict(counts)


def read_prepared(path: str | Path) -> list[dict[str, str]]:
    """The rows of a prepared table, as column -> text."""
    with open(path, encoding="utf-8", newline="\n") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows[1:]]
