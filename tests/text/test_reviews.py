"""The long reviews of a table become a folder that corpus.books can name."""

import csv
from pathlib import Path

import pytest

from stackbert.errors import UserError
from stackbert.text.books import read_books
from stackbert.text.reviews import fetch_reviews


def table(folder: Path, rows: list[tuple[str, str, str]]) -> dict[str, str]:
    with open(folder / "table.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label", "source"), *rows])
    return {"path": str(folder / "table.csv"), "member": "table.csv"}


def test_long_reviews_are_a_book(tmp_path: Path) -> None:
    rows = [
        ('It was, "fine".<br /><br />Then it ended.', "1", "imdb"),
        ("short", "0", "rotten_tomatoes"),
        ("Two\nlines.", "0", "imdb"),
    ]
    folder = tmp_path / "movie_reviews"
    fetch_reviews(table(tmp_path, rows), folder)
    text = (folder / "reviews.txt").read_text(encoding="utf-8")
    assert text == 'It was, "fine". Then it ended.\nTwo lines.\n'
    read_books([folder], *(tmp_path / name for name in ("books", "skipped", "counts")))
    assert "Then it ended." in (tmp_path / "books").read_text(encoding="utf-8")


def test_a_table_without_long_reviews_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"table\.csv has no rows whose source is imdb"):
        fetch_reviews(table(tmp_path, [("short", "0", "other")]), tmp_path / "out")
    assert not (tmp_path / "out").exists()
