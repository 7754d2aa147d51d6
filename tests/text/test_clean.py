"""Each cleaning rule on hand-made lines."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacremoses import MosesPunctNormalizer

from stackbert.text.clean import (
    blank_backslashes,
    clean_document,
    clean_line,
    join_broken,
    rejection,
)


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        (b"caf\xc3\xa9 \xff\xfe au lait\xc3", "café au lait"),
        ("a\tb  c \t d", "a b c d"),
        ("wait.... what...... no...", "wait... what... no..."),
        ("<<quoted>> and «quoted»", '"quoted" and "quoted"'),
        ("one,, two,. three", "one, two. three"),
        ("*starred words* and a * b and 2*3", "starred words* and a * b and 2*3"),
        (
            "“curly” \u2018single\u2019 it\u2019s \u2013 dash — long…",
            "\"curly\" 'single' it's - dash - long...",
        ),
        ("in ( brackets ) : here", "in (brackets): here"),
        ('he said "yes", and', 'he said "yes," and'),
        ("zero\u200bwidth, bell\x07and private\ue000use", "zero width, bell and private use"),
        ("line\n", "line"),
        ("", ""),
    ],
)
def test_clean_line(raw: str | bytes, cleaned: str) -> None:
    assert clean_line(raw) == cleaned


def test_spaces_are_not_collapsed_again_after_control_characters() -> None:
    assert clean_line("a \x07 b") == "a   b"


@settings(deadline=None)
@given(st.text())
def test_clean_line_agrees_with_the_rules_one_by_one(text: str) -> None:
    """The fast path equals a literal reading of the rules, on any text."""
    import re

    import regex

    slow = re.sub(r"[\t ]+", " ", text.rstrip("\r\n"))
    slow = re.sub(r"\.{4,}", "...", slow)
    slow = slow.replace("<<", "«").replace(">>", "»").replace(",,", ",").replace(",.", ".")
    slow = re.sub(r"(?<!\S)\*(?=\w)", "", slow)
    slow = MosesPunctNormalizer(lang="en").normalize(slow)
    assert clean_line(text) == regex.sub(r"\p{C}", " ", slow).strip()


@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        (["it goes", "on here"], ["it goes on here"]),
        (["the year 1999", "was good"], ["the year 1999 was good"]),
        (["one,", "two,", "three."], ["one, two, three."]),
        (["it ends.", "and begins"], ["it ends.", "and begins"]),
        (["it goes", "On here"], ["it goes", "On here"]),
        (["it goes", "", "on here"], ["it goes", "on here"]),
        (["snake_", "case"], ["snake_", "case"]),
        (["élan vitalé", "être"], ["élan vitalé être"]),
        ([], []),
        (["", ""], []),
    ],
)
def test_join_broken(lines: list[str], joined: list[str]) -> None:
    assert list(join_broken(lines)) == joined


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("a" * 49, "too_short"),
        ("a" * 50, None),
        ("a" * 1_000_000, None),
        ("a" * 1_000_001, "too_long"),
        ("a" * 49 + " " * 10, "too_few_letters"),
        ("é" * 60, "too_few_letters"),
        ("a" * 70 + "1" * 30, None),
        ("a" * 69 + "1" * 31, "low_letter_share"),
        ("a" * 95 + "/" * 5, None),
        ("a" * 94 + "/" * 6, "slashes"),
        ("a" * 94 + "\\" * 6, "backslashes"),
        ("a" * 94 + "|" * 6, "bars"),
        ("|" + "a" * 99, "leading_bar"),
        ("a|" + "a" * 98, None),
    ],
)
def test_rejection(line: str, rule: str | None) -> None:
    assert rejection(line) == rule


def test_backslashes_become_spaces() -> None:
    assert blank_backslashes("a\\b\\\\c") == "a b  c"


def test_clean_document_counts_every_line() -> None:
    lines = [
        "History.",
        "This line is long enough to be kept, since it holds many letters",
        "and goes on.",
    ]
    lines += ["|" + "a" * 99, "", "x" * 40 + " 1234567890 1234567890 1234567890 " + "y" * 20]
    counts: Counter[str] = Counter()
    kept = list(clean_document(lines, counts))
    assert kept == [f"{lines[1]} {lines[2]}"]
    assert counts == {
        "lines_read": 6,
        "lines_joined": 4,
        "lines_kept": 1,
        "dropped_too_short": 1,
        "dropped_leading_bar": 1,
        "dropped_low_letter_share": 1,
    }
