"""Readers of GLUE's files: tab-separated, never quoted, checked against the table's layout."""

import csv
import gzip
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stackbert.errors import UserError
from stackbert.glue.tasks import Split, Task

Row = dict[str, str]


@dataclass(frozen=True)
class Example:
    """One example as the file has it; `second` is None for single sentences, `label` in test."""

    index: str
    first: str
    second: str | None
    label: str | None


def find_file(folder: Path, name: str) -> Path | None:
    """A task's file, plain or as .gz; None if there is neither."""
    return next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)


def read_split(
    task: Task, split: str, path: Path, subset: bool, counts: Counter[str]
) -> list[Example]:
    """All examples of a split, in file order, checked against the layout and the row counts.

    `subset`: the number of rows need not be official. `counts` gets `rows`, `broken` (rows that
    the table allows to skip) and `empty` (examples with an empty text). Raises UserError with
    file, line number and what was expected.
    """
    layout = task.splits[split]
    examples = []
    for number, row in enumerate(_select(layout, path, _rows(task, layout, path, counts))):
        index = row.get("index", row.get("id")) or str(number)
        label = None if split == "test" else row[task.label]
        texts = [row[column] for column in layout.sentences]
        counts["empty"] += not all(text.strip() for text in texts)
        examples.append(Example(index, texts[0], texts[1] if task.pair else None, label))
    counts["rows"] = len(examples)
    _check_count(path, len(examples), layout, subset)
    return examples


def _check_count(path: Path, found: int, layout: Split, subset: bool) -> None:
    if not found:
        raise UserError(f"{path}: no example; give a file with at least one row")
    if not subset and found not in layout.rows:
        raise UserError(
            f"{path}: {found} examples, the official file has "
            f"{' or '.join(map(str, layout.rows))}; take the official file, or set glue.subset "
            "to true if a part is meant"
        )


def _rows(task: Task, layout: Split, path: Path, counts: Counter[str]) -> Iterator[Row]:
    """Rows as column -> text, each checked: number of columns and label."""
    lines = _quoted_lines(path) if layout.quoted else _plain_lines(path)
    least, most = len(layout.columns), len(layout.columns) + len(layout.optional)
    names = ", ".join(layout.columns)
    for number, fields in lines:
        if number == 1 and layout.header:
            if fields != list(layout.columns):
                raise UserError(
                    f"{path}, line 1: the header is {', '.join(fields)!r}, expected {names!r}; "
                    "take the official file"
                )
            continue
        if not least <= len(fields) <= most:
            if task.skip_broken:
                counts["broken"] += 1
                continue
            raise UserError(
                f"{path}, line {number}: {len(fields)} columns, expected {least} ({names}); "
                "mend or remove the line"
            )
        row = dict(zip(layout.columns, fields, strict=False))
        wanted = all(row[column] == value for column, value in layout.where.items())
        if wanted and not _label_is_good(task, row.get(task.label)):
            expected = (
                f"one of {', '.join(task.labels)}"
                if task.labels
                else "a number from {:g} to {:g}".format(*task.range)
            )
            raise UserError(
                f"{path}, line {number}: the {task.label} is {row[task.label]!r}, expected "
                f"{expected}; mend or remove the line"
            )
        yield row


def _label_is_good(task: Task, label: str | None) -> bool:
    if label is None or task.labels:
        return label is None or label in task.labels
    try:
        return task.range[0] <= float(label) <= task.range[1]
    except ValueError:
        return False


def _select(layout: Split, path: Path, rows: Iterator[Row]) -> Iterator[Row]:
    """The rows of this split, where a source's file holds more than one."""
    rows = (row for row in rows if all(row[c] == value for c, value in layout.where.items()))
    if layout.every:
        # Row n of every n is dev: a fixed rule, balanced because the file is sorted by label.
        return (
            row
            for number, row in enumerate(rows, 1)
            if (number % layout.every == 0) == (layout.part == "dev")
        )
    if layout.ids:
        ids = {tuple(fields) for _, fields in _plain_lines(path.with_name(layout.ids["file"]))}
        columns, keep = layout.ids["columns"], layout.ids["keep"]
        return (row for row in rows if (tuple(row[c] for c in columns) in ids) == keep)
    return rows


def _plain_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Numbered lines split at tabs; only a line feed ends a line, and quotes mean nothing."""
    with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{path}, line {number}: byte {error.start + 1} is no UTF-8; convert the file"
                ) from None
            yield number, text.rstrip("\r\n").split("\t")


def _quoted_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Records of a comma-separated file with quotes, numbered by their last line."""
    csv.field_size_limit(2**30)
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            for fields in reader:
                yield reader.line_num, fields
        except (csv.Error, UnicodeDecodeError) as error:
            raise UserError(
                f"{path}, line {reader.line_num}: {error}, expected comma-separated UTF-8 with "
                "quotes; get the file again"
            ) from None
