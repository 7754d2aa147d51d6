"""Moses' English normalization and tokenization as sacremoses does them, several times faster.

The steps and their expressions are sacremoses' own, in its order; what is saved is running them on
text that they cannot change. A step runs only if a character that it needs is there, text in ASCII
gets expressions whose character classes are cut down to ASCII, and a word's last full stop is
looked at without building sets of every letter of Unicode. The tests compare both on real and on
random text.
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


def _in_ascii(expression: tuple[re.Pattern[str], str]) -> tuple[re.Pattern[str], str]:
    """A step of the tokenizer with its classes cut down to the characters of ASCII."""
    pattern, replacement = expression
    source = pattern.pattern
    for name in ("IsAlnum", "IsAlpha", "IsN"):
        characters = getattr(MosesTokenizer, name)
        source = source.replace(characters, "".join(filter(str.isascii, characters)))
    return re.compile(source), replacement


_Step = tuple[re.Pattern[str], str]
_PAD: _Step = _moses.PAD_NOT_ISALNUM
_COMMAS: list[_Step] = [
    _moses.COMMA_SEPARATE_1,
    _moses.COMMA_SEPARATE_2,
    _moses.COMMA_SEPARATE_3,
]
_APOSTROPHES: list[_Step] = _moses.ENGLISH_SPECIFIC_APOSTROPHE
_ASCII_PAD = _in_ascii(_PAD)
_ASCII_COMMAS = [_in_ascii(step) for step in _COMMAS]
_ASCII_APOSTROPHES = [_in_ascii(step) for step in _APOSTROPHES]
# The three steps in one, where no two commas touch and no apostrophe looks at the spaces left.
_LONE_COMMA = re.compile(r"(?<=[^0-9]),|,(?=[^0-9])|(?<=[0-9]),$")
_JUNK = re.compile(r"[\000-\037]")
_TRAILING = _moses.TRAILING_DOT_APOSTROPHE[0]
_ALPHA = frozenset(MosesTokenizer.IsAlpha)
_LOWER = frozenset(MosesTokenizer.IsLower)
_NUMERIC_PREFIXES = frozenset(_moses.NUMERIC_ONLY_PREFIXES)
_PREFIXES = frozenset(_moses.NONBREAKING_PREFIXES) - _NUMERIC_PREFIXES


def tokenize(text: str) -> str:
    """The tokens of `MosesTokenizer(lang="en").tokenize(text, escape=False)`, parted by a space."""
    text = " ".join(text.split())
    if not text.isprintable():
        text = _JUNK.sub("", text).strip()
    if text.isascii():
        pad, commas, apostrophes = _ASCII_PAD, _ASCII_COMMAS, _ASCII_APOSTROPHES
    else:
        pad, commas, apostrophes = _PAD, _COMMAS, _APOSTROPHES
    text = " ".join(pad[0].split(text))  # puts a space on either side of what the group matched
    if ".." in text:
        text = _moses.replace_multidots(text)
    if "," in text and "'" not in text and ",," not in text and pad is _ASCII_PAD:
        text = _LONE_COMMA.sub(" , ", text)
    elif "," in text:
        for pattern, replacement in commas:
            text = pattern.sub(replacement, text)
    if "'" in text:
        for pattern, replacement in apostrophes:
            text = pattern.sub(replacement, text)
    text = _part_full_stops(text.split())
    if "MULTI" in text or "'" in text:
        text = _moses.restore_multidots(_TRAILING.sub(" . ' ", text))
        text = " ".join(text.split())
    return text


def _part_full_stops(tokens: list[str]) -> str:
    """Part a word's last full stop from it, unless it belongs to an abbreviation or a number."""
    for i in [i for i, token in enumerate(tokens) if token[-1] == "."]:
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
