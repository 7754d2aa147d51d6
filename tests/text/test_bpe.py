"""Merges are subword-nmt's own, learnt from counts, applied with a cache."""

import io
import operator
import tempfile
import tracemalloc
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from subword_nmt.apply_bpe import BPE
from subword_nmt.learn_bpe import learn_bpe

from stackbert.errors import UserError
from stackbert.text.bpe import Encoder, WordTable
from stackbert.text.learn_bpe import learn
from stackbert.text.words import tokenize

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


def assert_equal(words: Mapping[str, int], merges: int) -> None:
    """What is learnt from a table of words, and what becomes of words then, is subword-nmt's."""
    table = "".join(f"{word} {count}\n" for word, count in sorted(words.items()))
    plain = io.StringIO()
    learn_bpe(io.StringIO(table), plain, merges, is_dict=True)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "words").write_text(table, encoding="utf-8")
        learn([Path(folder, "words")], Path(folder, "codes"), merges)
        assert Path(folder, "codes").read_text(encoding="utf-8") == plain.getvalue()
        encode, bpe = Encoder(Path(folder, "codes")), BPE(plain)
    for word in words:
        for text in (word, word[::-1]):  # one that was learnt from, and another
            assert encode(text) == bpe.segment(text)


@pytest.mark.parametrize("alphabet", ["a", "ab", "abé<", "abcdefgh"])
def test_equal_on_repeats_and_overlaps(alphabet: str) -> None:
    repeats = st.builds(operator.mul, st.text(alphabet, min_size=1, max_size=4), st.integers(1, 6))
    words = st.lists(repeats, min_size=1, max_size=3).map("".join)

    @settings(deadline=None, max_examples=150)
    @given(st.dictionaries(words, st.integers(1, 9), max_size=20), st.integers(1, 7))
    def check(table: dict[str, int], block: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("stackbert.text.learn_bpe._BLOCK", block)
            patch.setattr("stackbert.text.learn_bpe._BUCKET_BITS", 1)
            assert_equal({"zz": 2} | table, 100)

    check()


def test_equal_on_real_text(corpora: Path) -> None:
    words: Counter[str] = Counter()
    for path in sorted(corpora.glob("*/*.txt")):
        words.update(path.read_text(encoding="utf-8", errors="ignore").lower().split())
    assert len(words) > 10_000
    assert_equal(words, 2_000)


def test_the_mark_of_a_word_end_never_stands_in_a_word() -> None:
    assert tokenize("x</w>y z</w>") == "x < / w > y z < / w >"


def test_learning_takes_a_few_bytes_per_character(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stackbert.text.learn_bpe._BLOCK", 1 << 10)

    def peak(types: int) -> int:
        path = tmp_path / "words"
        path.write_text("".join(f"{number:08d} {number % 7 + 1}\n" for number in range(types)))
        tracemalloc.start()
        try:
            learn([path], tmp_path / "codes", 30)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(20_000) - peak(5_000) < 60 * 8 * 15_000


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


@pytest.mark.parametrize("words", ["a 3\nb 2\n", "ab 1\nbc 1\n", ""])
def test_nothing_to_merge(tmp_path: Path, words: str) -> None:
    (tmp_path / "words").write_text(words)
    with pytest.raises(UserError, match="no pair of characters occurs twice"):
        learn([tmp_path / "words"], tmp_path / "codes", 10)
    assert not (tmp_path / "codes").exists()


def test_missing_codes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file of BPE merges"):
        Encoder(tmp_path / "codes")
