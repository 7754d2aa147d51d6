"""docs/config.md, made from the schema, config.yaml and the paper's overlay: `make docs`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from stackbert.errors import write_atomic
from stackbert.provenance import ROOT

Schema = Mapping[str, Any]
INTRO = """# Configuration

Made by `make docs` from `workflow/schemas/config.schema.yaml`, `config.yaml` and
`configs/bert_base.yaml`; edit those, not this file.

`config.yaml` holds the default run. An overlay changes single keys (lists are replaced as a whole):
`snakemake --cores all --configfile configs/bert_base.yaml`, and so does the command line:
`snakemake --cores all --config threads=2`. Unknown keys, wrong types and values out of range are
refused before any job starts. A change of a key runs again what depends on it, and nothing else.

| key | allowed | default | paper | meaning |
|---|---|---|---|---|
"""
LIMITS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
}


def document(schema: Schema, default: Mapping[str, Any], paper: Mapping[str, Any]) -> str:
    """The page as Markdown: a row per key, with what `default` and `paper` have for it."""
    rows = []
    for key, entry in leaves(schema, schema):
        cells = [f"`{key}`", allowed(entry), value(default, key), value(paper, key)]
        cells.append(" ".join(entry.get("description", "").split()))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
    return INTRO + "".join(rows)


def leaves(entry: Schema, root: Schema, prefix: str = "") -> Iterator[tuple[str, Schema]]:
    """Every key of the schema that holds a value, dotted; `[]` is each item, `*` each name."""
    for name, child in entry.get("properties", {}).items():
        child = _resolved(child, root)
        key = f"{prefix}{name}"
        named = child.get("additionalProperties")
        if "properties" in child:
            yield from leaves(child, root, f"{key}.")
        elif "properties" in _items(child, root):
            yield key, child
            yield from leaves(_items(child, root), root, f"{key}[].")
        elif isinstance(named, Mapping) and "then" in named:  # a list of objects, or one object
            yield key, child
            yield from leaves(_items(named["else"], root), root, f"{key}.*[].")
            yield from leaves(_resolved(named["then"], root), root, f"{key}.*.")
        else:
            yield key, child


def _items(entry: Schema, root: Schema) -> Schema:
    return _resolved(_resolved(entry, root).get("items", {}), root)


def _resolved(entry: Schema, root: Schema) -> Schema:
    """The entry with its reference followed; what stands beside the reference wins."""
    reference = entry.get("$ref")
    if reference is None:
        return entry
    target: Any = root
    for part in reference.removeprefix("#/").split("/"):
        target = target[part]
    return {**target, **{key: val for key, val in entry.items() if key != "$ref"}}


def allowed(entry: Schema) -> str:
    """Types, choices and limits of a key in a few words."""
    if "enum" in entry:
        return ", ".join(f"`{choice}`" for choice in entry["enum"])
    kinds = entry.get("type", "any")
    words = " or ".join([kinds] if isinstance(kinds, str) else kinds)
    limits = [text.format(entry[name]) for name, text in LIMITS.items() if name in entry]
    return ", ".join([words, *limits])


def value(config: Mapping[str, Any], key: str) -> str:
    """The value of a dotted key as it is written in YAML; empty for keys below a list."""
    if "*" in key or key in ("recipes", "compare"):
        return ""
    found: Any = config
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    text = json.dumps(found)
    return f"`{text}`" if len(text) <= 40 else f"`{text[:37]}...`"


def overlaid(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two configurations merged as Snakemake does it: mappings by key, everything else replaced."""
    merged = dict(base)
    for key, new in over.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            merged[key] = overlaid(old, new)
        else:
            merged[key] = new
    return merged


def page(root: Path = ROOT) -> str:
    """The page for the project in `root`."""
    names = ("workflow/schemas/config.schema.yaml", "config.yaml", "configs/bert_base.yaml")
    schema, default, paper = (
        yaml.safe_load((root / name).read_text(encoding="utf-8")) for name in names
    )
    return document(schema, default, overlaid(default, paper))


if __name__ == "__main__":
    write_atomic(ROOT / "docs" / "config.md", page())
