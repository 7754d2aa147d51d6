"""Merges are subword-nmt's own, learnt from counts, applied with a cache."""

import io
from pathlib import Path

import pytest
from subword_nmt.apply_bpe import BPE
from subword_nmt.learn_bpe import learn_bpe

from stackbert.errors import UserError
from stackbert.text.bpe import Encoder, WordTable, learn

TEXT = (
    "the lower and the lowest of the newer towers\nthey know the widest of the newest rivers\n"
    "\\ backslash x\\y <w> ... @ banana bananas nana aaaa aaaaa\n"
) * 3


@pytest.fixture
def codes(tmp_path: Path) -> Path:
    lines = TEXT.splitlines()
    for number, part in enumerate((lines[:4], lines[4:])):
        with WordTable(tmp_path / f"{number}.words") as table:
            table.add(" ".join(part).split())
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


def test_a_table_in_runs_equals_one_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def table(name: str) -> str:
        with WordTable(tmp_path / name) as words:
            for line in TEXT.splitlines():
                words.add(line.split())
        return (tmp_path / name).read_text()

    whole = table("whole")
    assert whole.splitlines()[:2] == ["... 3", "<w> 3"]
    monkeypatch.setattr("stackbert.text.bpe._CACHE", 3)
    assert table("runs") == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs", "whole"]


def test_a_failed_table_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stackbert.text.bpe._CACHE", 3)
    with pytest.raises(RuntimeError), WordTable(tmp_path / "words") as words:
        words.add(TEXT.split())
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_merge(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("a 3\nb 2\n")
    with pytest.raises(UserError, match="no word of the corpus has two characters"):
        learn([tmp_path / "words"], tmp_path / "codes", 10)
    assert not (tmp_path / "codes").exists()


def test_missing_codes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file of BPE merges"):
        Encoder(tmp_path / "codes")
