"""The fast path says exactly what sacremoses says."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacremoses import MosesPunctNormalizer, MosesTokenizer

from stackbert.text import moses

_normalizer = MosesPunctNormalizer(lang="en")
_tokenizer = MosesTokenizer(lang="en")

# What the rules look at, so that random text meets them often.
_PIECES = [*"()[]\"'`.,:;!?%-<>@&|\\/ 019aZ\u00e9\u00df\u00a0\u00ba\u2018\u2019\u201a\u201c"]
_PIECES += [*"\u2013\u2014\u2026\u00ab\u00bb\u00b4"]
_PIECES += [
    "Mr.",
    "No.",
    "U.S.",
    "e.g",
    "..",
    "...",
    "'s",
    "n't",
    "''",
    ",,",
    "  ",
    " nº\u00a0",
    "THE",
]
_PIECES += [
    "DOTMULTI",
    "DOTDOTMULTI",
    "\t",
    "\x07",
    "\u2028",
    "\u0661",
    "\U0001f600",
    "日本",
    "ǅ",
    "्",
]
texts = st.one_of(
    st.text(max_size=40), st.lists(st.sampled_from(_PIECES), max_size=25).map("".join)
)


def slow(text: str) -> str:
    return " ".join(_tokenizer.tokenize(text, escape=False))


@settings(max_examples=1500, deadline=None)
@given(texts)
def test_normalize_on_any_text(text: str) -> None:
    assert moses.normalize(text) == _normalizer.normalize(text)


@settings(max_examples=1500, deadline=None)
@given(texts)
def test_tokenize_on_any_text(text: str) -> None:
    assert moses.tokenize(text) == slow(text)


@pytest.mark.parametrize(
    "text",
    [
        "He lives at No. 5, No. Five, with Mr. and Mrs. X. No.",
        "'Tis the workers' 1960's rock'n'roll, isn't it.'",
        "wait.. what... no.... U.S.A. e.g. x.y. 3.14. end.",
        "1,000,000 a,b ,c d, 5,",
        ":,,0 ,5 a,,5 ,,",
        ",5",
        "a.\u00a0b\u2009c.\x1fd",
    ],
)
def test_tokenize_on_hard_cases(text: str) -> None:
    assert moses.tokenize(text) == slow(text)


def test_on_real_text(corpora: Path) -> None:
    for path in sorted(corpora.rglob("*.txt")):
        lines = path.read_text(encoding="utf-8", errors="ignore").split("\n")
        for line in lines[:: max(1, len(lines) // 150)]:
            assert moses.normalize(line) == _normalizer.normalize(line), path
            assert moses.tokenize(line) == slow(line), path
