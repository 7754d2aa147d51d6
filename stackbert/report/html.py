"""Tables as small HTML pages of their own, which report.html embeds."""

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
from jinja2 import Environment
from markupsafe import Markup

from stackbert.errors import write_atomic

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5em; color: #222; background: white; }
table { border-collapse: collapse; margin: .4em 0 1.6em; }
caption { text-align: left; font-weight: 600; padding: .3em 0; }
th, td { padding: .25em .9em .25em 0; text-align: left; border-bottom: 1px solid #ddd; }
td:first-child { white-space: nowrap; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
p { max-width: 46em; }
</style></head><body>
{% for heading, columns, rows in tables %}
<table><caption>{{ heading }}</caption>
<thead><tr>{% for name in columns %}<th>{{ name }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in rows %}
<tr>{% for cell in row %}<td{{ cell | numeric }}>{{ cell }}</td>{% endfor %}</tr>{% endfor %}
</tbody></table>
{% endfor %}
{% if note %}<p>{{ note }}</p>{% endif %}
</body></html>
"""


def _numeric(cell: str) -> Markup:
    """Right-align a plain number, with or without a percent sign."""
    number = re.fullmatch(r"[+-]?[\d,]*\.?\d+ ?%?", cell)
    return Markup(' class="n"' if number else "")


def write_tables(path: str, title: str, tables: Mapping[str, pd.DataFrame], note: str = "") -> None:
    """Write tables, each under its heading, as one page; empty cells stay empty."""
    environment = Environment(autoescape=True)
    environment.filters["numeric"] = _numeric
    shown = [
        (
            heading,
            list(table.columns),
            [[_text(cell) for cell in row] for row in table.to_numpy(object)],
        )
        for heading, table in tables.items()
    ]
    page = environment.from_string(_PAGE).render(title=title, tables=shown, note=note)
    write_atomic(path, page)


def _text(cell: Any) -> str:
    if cell is None or (isinstance(cell, float) and pd.isna(cell)):
        return ""
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A nested configuration as dotted keys and values, lists of mappings numbered from 1."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{name}.")
        elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            for number, item in enumerate(value, 1):
                flat |= flatten(item, f"{name}[{number}].")
        else:
            flat[name] = "" if value is None else str(value)
    return flat
