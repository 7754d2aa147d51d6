"""Merges are subword-nmt's own, learnt from counts, applied with a cache."""

import io
from collections import Counter
from pathlib import Path

import pytest
from subword_nmt.apply_bpe import BPE
from subword_nmt.learn_bpe import learn_bpe

from stackbert.errors import UserError
from stackbert.text.bpe import Encoder, learn, write_counts

TEXT = (
    "the lower and the lowest of the newer towers\nthey know the widest of the newest rivers\n"
    "\\ backslash x\\y <w> ... @ banana bananas nana aaaa aaaaa\n"
) * 3


@pytest.fixture
def codes(tmp_path: Path) -> Path:
    lines = TEXT.splitlines()
    for number, part in enumerate((lines[:4], lines[4:])):
        with open(tmp_path / f"{number}.words", "w") as file:
            write_counts(Counter(" ".join(part).split()), file)
    learn([tmp_path / "0.words", tmp_path / "1.words"], tmp_path / "codes", 60)
    return tmp_path / "codes"


def test_merges_equal_those_learnt_on_the_text(codes: Path) -> None:
    plain = io.StringIO()
    learn_bpe(io.StringIO(TEXT), plain, 60)
    assert codes.read_text() == plain.getvalue()


def test_encoding_equals_subword_nmt(codes: Path) -> None:
    with open(codes) as file:
        plain = BPE(file)
    encode = Encoder(codes)
    for line in [*TEXT.splitlines(), "unseen wörds täke ✓ pieces", "x"]:
        assert encode(line) == plain.segment(line) == encode(line)
    assert encode("") == ""
    assert encode("the newest").replace("@@ ", "") == "the newest"


def test_the_cache_may_be_emptied_at_any_word(codes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = TEXT.splitlines()[0]
    whole = Encoder(codes)(line)
    monkeypatch.setattr("stackbert.text.bpe._CACHE", 2)
    assert Encoder(codes)(line) == whole


def test_nothing_to_merge(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("a 3\nb 2\n")
    with pytest.raises(UserError, match="no word of the corpus has two characters"):
        learn([tmp_path / "words"], tmp_path / "codes", 10)
    assert not (tmp_path / "codes").exists()


def test_missing_codes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file of BPE merges"):
        Encoder(tmp_path / "codes")
