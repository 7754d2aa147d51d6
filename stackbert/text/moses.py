"""Moses' English normalization and tokenization as sacremoses does them, several times faster.

Normalization takes sacremoses' steps in its order and leaves out those that cannot change the line.
Tokenization does plain text in one expression made of sacremoses' own character classes and all
other text by sacremoses' own steps. The tests compare both on real and on random text.
"""

import re

from sacremoses import MosesPunctNormalizer, MosesTokenizer

_normalizer = MosesPunctNormalizer(lang="en")
_moses = MosesTokenizer(lang="en")

_BRACKET_THEN_MARK = re.compile(r"\) ([.!:?;,])")
_SPACE_PERCENT = re.compile(r"(\d) %")
_QUOTE_THEN_MARK = re.compile(r'"([,.]+)')
_SPACES = re.compile(r" +")
_DASHES_QUOTES = str.maketrans(
    {char: '"' for char in "\u201e\u201c\u201d"} | {"\u2013": "-", "\u2014": " - "}
)
_SINGLE_QUOTES = str.maketrans({char: "'" for char in "\u00b4\u2018\u201a\u2019"})


def normalize(line: str) -> str:
    """What `MosesPunctNormalizer(lang="en").normalize` makes of a line."""
    if "\u00a0" in line:  # about a dozen rules on no-break spaces, all rare
        return _normalizer.normalize(line)
    if "\r" in line:
        line = line.replace("\r", "")
    if "(" in line or ")" in line:
        line = line.replace("(", " (").replace(")", ") ")
        line = _SPACES.sub(" ", line)
        line = _BRACKET_THEN_MARK.sub(r")\1", line).replace("( ", "(").replace(" )", ")")
    elif "  " in line:
        line = _SPACES.sub(" ", line)
    if " %" in line:
        line = _SPACE_PERCENT.sub(r"\1%", line)
    line = line.replace(" :", ":").replace(" ;", ";").replace("`", "'").replace("''", ' " ')
    if line.isascii():
        if "  " in line:
            line = _SPACES.sub(" ", line)
    else:
        line = _SPACES.sub(" ", line.translate(_DASHES_QUOTES)).translate(_SINGLE_QUOTES)
        line = line.replace("''", '"').replace("…", "...").replace("«", '"').replace("»", '"')
    if '",' in line or '".' in line:
        line = _QUOTE_THEN_MARK.sub(r'\1"', line)
    return line.strip()


def _expressions(alnum: str, alpha: str, number: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What a token looks like in plain text, and which apostrophes make a text not plain.

    In plain text each apostrophe stands alone between two letters, neither dots nor commas follow
    each other, and sacremoses' own mark for dots does not occur. There the tokenizer's steps come
    to this: words, in which a comma may stand between digits (or before one at the very start), and
    single other characters.
    """
    word = rf"[{alnum}.`\-]"
    token = rf"(?:'?{word}|^,(?=[{number}])){word}*(?:(?<=[{number}]),(?=[{number}]){word}*)*|\S"
    odd = rf"'(?:[^{alpha}]|[{alpha}]'|$)|(?:^|[^{alpha}])'"
    return re.compile(token), re.compile(odd)


_CLASSES = (MosesTokenizer.IsAlnum, MosesTokenizer.IsAlpha, MosesTokenizer.IsN)
_ANY_TEXT = _expressions(*_CLASSES)
_ASCII_TEXT = _expressions(*("".join(filter(str.isascii, characters)) for characters in _CLASSES))
_COMMAS_AND_APOSTROPHES = [
    _moses.COMMA_SEPARATE_1,
    _moses.COMMA_SEPARATE_2,
    _moses.COMMA_SEPARATE_3,
    *_moses.ENGLISH_SPECIFIC_APOSTROPHE,
]
_JUNK = _moses.ASCII_JUNK[0]
_ALPHA = frozenset(MosesTokenizer.IsAlpha)
_LOWER = frozenset(MosesTokenizer.IsLower)
_NUMERIC_PREFIXES = frozenset(_moses.NUMERIC_ONLY_PREFIXES)
_PREFIXES = frozenset(_moses.NONBREAKING_PREFIXES) - _NUMERIC_PREFIXES


def tokenize(text: str) -> str:
    """The tokens of `MosesTokenizer(lang="en").tokenize(text, escape=False)`, parted by a space."""
    text = text.strip()
    if text.isprintable() and not any(mark in text for mark in ("..", ",,", "MULTI")):
        token, odd_apostrophe = _ASCII_TEXT if text.isascii() else _ANY_TEXT
        if "'" not in text or not odd_apostrophe.search(text):
            return _part_full_stops(token.findall(text), text)
    return _step_by_step(text)


def _step_by_step(text: str) -> str:
    """The tokenizer's own steps, but for the full stops, where sacremoses is slow."""
    text = _JUNK.sub("", " ".join(text.split())).strip()
    text = _moses.PAD_NOT_ISALNUM[0].sub(r" \1 ", text)
    text = _moses.replace_multidots(text)
    for pattern, replacement in _COMMAS_AND_APOSTROPHES:
        text = pattern.sub(replacement, text)
    tokens = text.split()
    text = _part_full_stops(tokens, " ".join(tokens))
    text = _moses.TRAILING_DOT_APOSTROPHE[0].sub(" . ' ", text)
    return " ".join(_moses.restore_multidots(text).split())


def _part_full_stops(tokens: list[str], text: str) -> str:
    """Part a word's last full stop from it, unless it belongs to an abbreviation or a number."""
    if text and text.find(".") == len(text) - 1:  # the usual sentence
        stops = [len(tokens) - 1]
    else:
        stops = [i for i, token in enumerate(tokens) if token[-1] == "."]
    for i in stops:
        prefix = tokens[i][:-1]
        following = tokens[i + 1][0] if i + 1 < len(tokens) else ""
        if prefix and not (
            ("." in prefix and not _ALPHA.isdisjoint(prefix))
            or prefix in _PREFIXES
            or following in _LOWER
            or (prefix in _NUMERIC_PREFIXES and following and following in "0123456789")
        ):
            tokens[i] = prefix + " ."
    return " ".join(tokens)
