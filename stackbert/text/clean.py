"""Cleaning of raw lines: steps 2 to 4 of the method (the released code and Moses' scripts)."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

import regex

from stackbert.text import moses

SHORTEST, LONGEST = 50, 1_000_000  # characters of a line that is kept
FEWEST_LETTERS = 50  # ASCII letters of a line that is kept
LETTER_SHARE, SYMBOL_SHARE = 0.70, 0.05  # at least, at most

_SPACES = re.compile(r"[\t ]+")
_DOTS = re.compile(r"\.{4,}")
_ASTERISK = re.compile(r"(?<!\S)\*(?=\w)")
_CONTROL = regex.compile(r"\p{C}")
_NOT_LETTERS = bytes(byte for byte in range(256) if not chr(byte).isalpha() or byte > 127)


def clean_line(line: str | bytes) -> str:
    """Step 2: one raw line (bytes that are not UTF-8 are dropped) -> the same line, cleaned.

    Control characters become spaces, as in Moses' remove-non-printing-char (sacremoses deletes
    them, which would glue words together).
    """
    if isinstance(line, bytes):
        line = line.decode("utf-8", "ignore")
    line = line.rstrip("\r\n")
    if "\t" in line or "  " in line:
        line = _SPACES.sub(" ", line)
    if "...." in line:
        line = _DOTS.sub("...", line)
    line = line.replace("<<", "«").replace(">>", "»").replace(",,", ",").replace(",.", ".")
    if "*" in line:
        line = _ASTERISK.sub("", line)
    line = moses.normalize(line)
    return line if line.isprintable() else _CONTROL.sub(" ", line).strip()


def join_broken(lines: Iterable[str]) -> Iterator[str]:
    """Step 3: join a line that ends in a letter, digit or comma with a next one in lower case.

    An empty line parts paragraphs: nothing is joined across it, and it is not passed on.
    """
    pending = ""
    for line in lines:
        if pending and line[:1].islower() and (pending[-1] == "," or pending[-1].isalnum()):
            pending += " " + line
            continue
        if pending:
            yield pending
        pending = line
    if pending:
        yield pending


def rejection(line: str) -> str | None:
    """Step 4: the name of the first rule that a line breaks, or None if it is kept."""
    length = len(line)
    if length < SHORTEST:
        return "too_short"
    if length > LONGEST:
        return "too_long"
    letters = len(line.encode("utf-8", "ignore").translate(None, _NOT_LETTERS))
    if letters < FEWEST_LETTERS:
        return "too_few_letters"
    if letters < LETTER_SHARE * length:
        return "low_letter_share"
    for symbol, name in (("/", "slashes"), ("\\", "backslashes"), ("|", "bars")):
        if line.count(symbol) > SYMBOL_SHARE * length:
            return name
    return "leading_bar" if line.startswith("|") else None


def blank_backslashes(line: str) -> str:
    """The end of step 4: backslashes become spaces."""
    return line.replace("\\", " ")


def clean_document(lines: Iterable[str], counts: Counter[str]) -> Iterator[str]:
    """Steps 2 to 4 on a document's raw lines: the lines kept; `counts` gets the fate of all."""
    for line in join_broken(_counted(lines, counts)):
        counts["lines_joined"] += 1
        rule = rejection(line)
        if rule:
            counts[f"dropped_{rule}"] += 1
        else:
            counts["lines_kept"] += 1
            yield blank_backslashes(line)


def _counted(lines: Iterable[str], counts: Counter[str]) -> Iterator[str]:
    for line in lines:
        counts["lines_read"] += 1
        yield clean_line(line)
