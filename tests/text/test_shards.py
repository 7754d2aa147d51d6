"""The whole path on a small dump: the same bytes for any number of shards."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackbert.errors import UserError
from stackbert.text.binarize import PRODUCTS, binarize, tabulate
from stackbert.text.extract import extract
from stackbert.text.files import shard_lines
from stackbert.text.learn_bpe import learn
from stackbert.text.shards import clean_shard, encode_shard, tokenize_shard
from stackbert.text.split import split


def corpus(dump: Path, folder: Path, shards: int, valid_every: int = 5, workers: int = 1) -> Path:
    """Run every step on `dump`; the folder then holds bin/, codes and corpus.tsv."""
    folder.mkdir()
    parts = [str(i) for i in range(shards)]

    def names(suffix: str) -> list[str]:
        return [str(folder / f"{part}.{suffix}") for part in parts]

    extract(dump, folder / "text", folder / "extract.json")
    for i in range(shards):
        made = (folder / f"{i}.{suffix}" for suffix in ("lines", "hashes", "clean.json"))
        clean_shard([folder / "text"], *made, i, shards)
    split(names("hashes"), names("flags"), folder / "split.json", valid_every)
    for i in range(shards):
        suffixes = ("lines", "flags", "train", "valid", "words", "tokens.json")
        tokenize_shard(*(folder / f"{i}.{suffix}" for suffix in suffixes), "sentencex")
    learn(names("words"), folder / "codes", 120)
    for i in range(shards):
        suffixes = ("train", "valid", "train.bpe", "valid.bpe")
        encode_shard(*(folder / f"{i}.{suffix}" for suffix in suffixes), folder / "codes")
    bins, counts = folder / "bin", folder / "binarize.json"
    binarize(names("train.bpe"), names("valid.bpe"), bins, counts, 100, workers, folder / "log")
    steps = {
        "extract": [str(folder / "extract.json")],
        "clean": names("clean.json"),
        "split": [str(folder / "split.json")],
        "tokenize": names("tokens.json"),
        "binarize": [str(counts)],
    }
    tabulate(steps, folder / "corpus.tsv")
    return folder


@pytest.mark.parametrize("shards", [2, 5, 40])
def test_results_do_not_depend_on_shards(small_dump: Path, tmp_path: Path, shards: int) -> None:
    one = corpus(small_dump, tmp_path / "one", 1)
    many = corpus(small_dump, tmp_path / "many", shards, workers=2)
    for name in [*(f"bin/{product}" for product in PRODUCTS), "codes", "corpus.tsv"]:
        assert (one / name).read_bytes() == (many / name).read_bytes(), name
    assert sorted(path.name for path in (many / "bin").iterdir()) == sorted(PRODUCTS)


def test_counters_add_up(small_dump: Path, tmp_path: Path) -> None:
    folder = corpus(small_dump, tmp_path / "run", 2)
    rows = [line.split("\t") for line in (folder / "corpus.tsv").read_text().splitlines()]
    assert rows[0] == ["step", "counter", "value"]
    value = {(step, counter): float(number) for step, counter, number in rows[1:]}
    assert value["extract", "articles"] == value["clean", "documents"] == 21
    assert value["clean", "lines_kept"] == 63
    assert value["split", "duplicates"] == 3
    assert value["split", "train"] == 48
    assert value["split", "valid"] == 12
    assert value["tokenize", "sentences"] == 120
    assert value["binarize", "unknown_rate"] == pytest.approx(
        (value["binarize", "train_unknown"] + value["binarize", "valid_unknown"])
        / (value["binarize", "train_tokens"] + value["binarize", "valid_tokens"]),
        abs=1e-8,
    )


def test_binarized_data_is_what_was_written(small_dump: Path, tmp_path: Path) -> None:
    """fairseq reads it back: an empty line is an item of only </s>, the dictionary has its size."""
    from fairseq.data import Dictionary, data_utils

    folder = corpus(small_dump, tmp_path / "run", 2)
    dictionary = Dictionary(bos="<cls>")
    dictionary.add_from_file(str(folder / "bin/dict.txt"))
    dictionary.add_symbol("<mask>")
    assert len(dictionary) <= 100
    assert dictionary.index("<mask>") == len(dictionary) - 1
    for part in ("train", "valid"):
        lines = "".join((folder / f"{i}.{part}.bpe").read_text() for i in (0, 1)).split("\n")[:-1]
        items = data_utils.load_indexed_dataset(str(folder / "bin" / part))
        assert len(items) == len(lines)
        assert lines.count("") == {"train": 48, "valid": 12}[part]
        for item, line in zip(items, lines, strict=True):
            words = [dictionary.index(word) for word in line.split()]
            assert item.tolist() == [*words, dictionary.eos()]


def test_equal_to_plain_fairseq_preprocess(small_dump: Path, tmp_path: Path) -> None:
    """Our dictionary class is faster; what it writes is fairseq's to the byte."""
    folder = corpus(small_dump, tmp_path / "run", 1)
    command = [sys.executable, "-m", "fairseq_cli.preprocess", "--only-source", "--destdir"]
    command += [str(tmp_path / "plain"), "--nwordssrc", "99", "--padding-factor", "1"]
    for part in ("train", "valid"):
        command += [f"--{part}pref", str(folder / f"0.{part}.bpe")]
    subprocess.run(command, check=True, capture_output=True)
    for name in PRODUCTS:
        assert (folder / "bin" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
    assert "<unk>" in (folder / "log").read_text()


def test_reserved_symbols_in_raw_text_stay_ordinary_words(
    make_dump: Callable[..., Path], tmp_path: Path
) -> None:
    from tests.text.conftest import PARAGRAPHS, page

    reserved = "<mask> <cls> </s> <pad> <unk> <s> and foo@@ bar @@ madeupword0000 and the others "
    text = "\n\n".join(f"{reserved} {paragraph}" for paragraph in PARAGRAPHS)
    folder = corpus(make_dump(page(1, text)), tmp_path / "run", 1)
    lines = (folder / "0.train.bpe").read_text()
    for symbol in ("<mask>", "<cls>", "</s>", "<pad>", "<unk>", "<s>"):
        assert symbol not in lines.split()
    assert "< mask >" in (folder / "0.train").read_text()
    assert all(word != "@@" for word in lines.split())
    assert lines.replace("@@ ", "") == (folder / "0.train").read_text()


def test_too_little_text_for_binarizing(tmp_path: Path) -> None:
    (tmp_path / "train").write_text("a b c\n\n")
    (tmp_path / "valid").write_text("")
    with pytest.raises(UserError, match="no text is left for validing data"):
        binarize(
            [str(tmp_path / "train")],
            [str(tmp_path / "valid")],
            tmp_path / "bin",
            tmp_path / "c",
            50,
        )
    assert not list((tmp_path / "bin").iterdir())
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@settings(deadline=None)
@given(
    lines=st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"\n", b""))), n=st.integers(1, 9)
)
def test_every_line_belongs_to_one_shard(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], n: int
) -> None:
    paths = [tmp_path_factory.getbasetemp() / f"lines{k}" for k in range(3)]
    for k, path in enumerate(paths):
        path.write_bytes(b"".join(line + b"\n" for line in lines[k * 4 : k * 4 + 4]))
    lines = lines[:12]
    parts = [list(shard_lines(paths, i, n)) for i in range(n)]
    assert [line for part in parts for line in part] == [line + b"\n" for line in lines]
