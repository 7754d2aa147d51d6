"""Global deduplication and the validation split, against a plain reading of the rule."""

from itertools import chain, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackbert.errors import UserError
from stackbert.text.files import read_json
from stackbert.text.split import DUPLICATE, TRAIN, VALID, line_hash, split


def run(
    folder: Path, shards: list[list[str]], valid_every: int, memory_mb: float = 256
) -> list[list[int]]:
    hashes = [folder / f"{i}.hashes" for i in range(len(shards))]
    flags = [folder / f"{i}.flags" for i in range(len(shards))]
    for path, lines in zip(hashes, shards, strict=True):
        path.write_bytes(b"".join(map(line_hash, lines)))
    split(hashes, flags, folder / "counts.json", valid_every, memory_mb)  # type: ignore[arg-type]
    return [list(path.read_bytes()) for path in flags]


def plain(lines: list[str], valid_every: int) -> list[int]:
    seen: set[str] = set()
    out = []
    for line in lines:
        if line in seen:
            out.append(DUPLICATE)
        else:
            seen.add(line)
            out.append(TRAIN if len(seen) % valid_every else VALID)
    return out


def test_first_occurrences_stay_and_every_nth_is_held_out(tmp_path: Path) -> None:
    flags = run(tmp_path, [["a", "b", "a"], [], ["c", "b", "d"]], valid_every=2)
    assert flags == [[TRAIN, VALID, DUPLICATE], [], [TRAIN, DUPLICATE, VALID]]
    assert read_json(tmp_path / "counts.json") == {"duplicates": 2, "train": 2, "valid": 2}


@settings(max_examples=40, deadline=None)
@given(
    lines=st.lists(st.sampled_from("abcdefghijklmnop"), min_size=20, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=4),
    valid_every=st.integers(1, 4),
    passes=st.integers(1, 7),
)
def test_any_shards_and_passes_give_the_plain_answer(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[str],
    cuts: list[int],
    valid_every: int,
    passes: int,
) -> None:
    import stackbert.text.split as module

    folder = tmp_path_factory.mktemp("split")
    edges = [0, *sorted(min(cut, len(lines)) for cut in cuts), len(lines)]
    shards = [lines[a:b] for a, b in pairwise(edges)]
    wanted = plain(lines, valid_every)
    working, module._WORKING_BYTES = module._WORKING_BYTES, (passes << 19) // len(lines)
    try:
        if wanted.count(TRAIN) + wanted.count(VALID) < valid_every:
            return
        assert list(chain(*run(folder, shards, valid_every, memory_mb=1))) == wanted
    finally:
        module._WORKING_BYTES = working


def test_empty_corpus_and_too_small_a_corpus(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no line of the corpus is left"):
        run(tmp_path, [[], []], valid_every=2)
    with pytest.raises(UserError, match="only 2 paragraphs are left"):
        run(tmp_path, [["a", "b", "a"]], valid_every=3)
    assert not list(tmp_path.glob("*.flags"))
