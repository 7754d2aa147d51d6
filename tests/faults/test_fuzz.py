"""Whatever the bytes: the project's own error or a result, never a crash, a hang or full memory."""

import bz2
import copy
import io
import resource
import subprocess
import sys
import unicodedata
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stackbert.checkpoint import load_checkpoint
from stackbert.config import check
from stackbert.errors import UserError
from stackbert.glue.fetch import extract as unzip
from stackbert.glue.readers import read_split
from stackbert.glue.tasks import task
from stackbert.text.clean import clean_document
from stackbert.text.extract import extract

ROOT = Path(__file__).parents[2]
bounded = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
few = settings(bounded, max_examples=12)

# What breaks naive readers: NUL, directions, lone surrogates, separators that Python takes for ends
# of lines, marks without a letter, tags and templates that never close.
NASTY = st.sampled_from(
    [
        "\0",
        "\u202e",
        "\u2028",
        "\x85",
        "\x0c",
        "\ufeff",
        "\u0301" * 50,
        "&#xD800;",
        "&#0;",
        "{{" * 99,
        "[[" * 99,
        "<" * 99,
        "<ref>",
        "</text>",
        "<page>",
        "&lol;",
        "<nowiki>",
        "{|",
        "''" * 50,
        "\t",
    ]
)
TEXT = st.lists(NASTY | st.text(max_size=40), max_size=12).map("".join)
HEAD = '<mediawiki>\n<siteinfo>\n<namespace key="10">Template</namespace>\n</siteinfo>\n'
PAGE = (
    "<page>\n<title>{}</title>\n<ns>0</ns>\n<id>1</id>\n<revision>\n<id>2</id>\n<text>{}</text>\n"
)


def dump(path: Path, content: bytes) -> Path:
    path.write_bytes(bz2.compress(content))
    return path


def extracted(path: Path) -> str | None:
    """The text of a dump, or None where it was refused."""
    target = path.with_name("articles.jsonl")
    target.unlink(missing_ok=True)
    try:
        extract(path, target, path.with_name("counts.json"))
    except UserError as error:
        assert str(path) in str(error) and not target.exists()
        return None
    return target.read_text(encoding="utf-8")


@few
@given(title=TEXT, body=TEXT, end=st.sampled_from(["</revision>\n</page>\n</mediawiki>\n", ""]))
def test_dump_of_odd_text(tmp_path: Path, title: str, body: str, end: str) -> None:
    content = (HEAD + PAGE.format(title, body) + end).encode("utf-8", "surrogatepass")
    extracted(dump(tmp_path / "dump.bz2", content))


@few
@given(st.binary(max_size=200), st.booleans())
def test_dump_of_any_bytes(tmp_path: Path, content: bytes, packed: bool) -> None:
    path = tmp_path / "dump.bz2"
    path.write_bytes(bz2.compress(content) if packed else content)
    assert extracted(path) is None


def test_dump_bombs_do_not_fill_the_memory(tmp_path: Path) -> None:
    """A line, and a page, of a gigabyte, in less than a megabyte of bzip2."""
    script = (
        "import sys\n"
        "from stackbert.errors import UserError\n"
        "from stackbert.text.extract import extract\n"
        "try: extract(sys.argv[1], sys.argv[2], sys.argv[2] + '.json')\n"
        "except UserError as error: print(error)"
    )
    for name, piece in (("line", b"x" * 2**25), ("page", (b"x" * 1023 + b"\n") * 2**15)):
        head, packed = bz2.compress((HEAD + PAGE[:30]).encode()), bz2.compress(piece)
        (tmp_path / name).write_bytes(head + packed * (2**30 // len(piece)))
        done = subprocess.run(
            [sys.executable, "-c", script, tmp_path / name, tmp_path / "out"],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=120,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (2**30, 2**30)),
        )
        assert "without an end" in done.stdout, done.stderr[-2000:]


@bounded
@given(st.lists(TEXT | st.binary(max_size=80), max_size=8))
def test_cleaning(lines: list[Any]) -> None:
    counts: Counter[str] = Counter()
    for line in clean_document(lines, counts):
        assert "\n" not in line and "\t" not in line
        assert not any(unicodedata.category(character) == "Cc" for character in line)
    assert counts["lines_read"] == len(lines)


CELL = st.text(st.characters(exclude_characters="\n"), max_size=12) | NASTY | st.sampled_from("01")


@bounded
@given(
    st.sampled_from(["CoLA", "STS-B", "MNLI", "QQP", "RT"]), st.lists(st.lists(CELL, max_size=6))
)
def test_glue_readers_on_odd_tables(tmp_path: Path, name: str, rows: list[list[str]]) -> None:
    content = "\n".join("\t".join(row) for row in rows).encode("utf-8", "surrogatepass")
    read(name, tmp_path / "table.tsv", content)


@bounded
@given(st.sampled_from(["CoLA", "STS-B", "RT"]), st.binary(max_size=300))
def test_glue_readers_on_any_bytes(tmp_path: Path, name: str, content: bytes) -> None:
    read(name, tmp_path / "table.tsv", content)


def read(name: str, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        examples = read_split(task(name), "train", path, True, Counter())
    except UserError as error:
        assert str(path) in str(error)
    else:
        assert examples


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.sampled_from(["", "$(touch x)", "a b", "../x", "a;b", "{x}", "'\"", "\0", "x" * 10**5]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a nested configuration."""
    inner = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    return [path] * bool(path) + [
        place for key, sub in inner for place in places(sub, (*path, key))
    ]


DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())


@settings(bounded, max_examples=100)
@given(st.sampled_from(places(DEFAULT)), JUNK, st.booleans())
def test_config(place: tuple[Any, ...], junk: Any, add: bool) -> None:
    config = copy.deepcopy(DEFAULT)
    node = config
    for key in place[:-1]:
        node = node[key]
    if add and isinstance(node, dict):
        node["unknown"] = junk
    else:
        node[place[-1]] = junk
    try:
        check(config, ROOT / "workflow")
    except UserError as error:
        assert str(error).startswith("config key ") and len(str(error)) < 3000


def refuse(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"no checkpoint|holds no model"):
        load_checkpoint(path)


@pytest.fixture(scope="module")
def saved() -> bytes:
    """A small whole checkpoint."""
    buffer = io.BytesIO()
    torch.save({"model": {"a": torch.arange(99.0)}, "optimizer_history": []}, buffer)
    return buffer.getvalue()


@bounded
@given(st.integers(0, 10**6), st.integers(1, 255))
def test_checkpoint_with_a_flipped_byte(tmp_path: Path, saved: bytes, at: int, flip: int) -> None:
    """Either told, or the byte is in a part of the archive that means nothing."""
    content = bytearray(saved)
    content[at % len(content)] ^= flip
    (tmp_path / "c.pt").write_bytes(content)
    try:
        model = load_checkpoint(tmp_path / "c.pt")["model"]
    except UserError:
        return
    assert torch.equal(model["a"], torch.arange(99.0))


@bounded
@given(st.binary(max_size=300))
def test_checkpoint_of_any_bytes(tmp_path: Path, content: bytes) -> None:
    refuse(tmp_path / "c.pt", content)


@bounded
@given(st.binary(max_size=60))
def test_checkpoint_of_any_pickle(tmp_path: Path, saved: bytes, pickled: bytes) -> None:
    """A whole archive, its checksums right, around a pickle that is not."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            new.writestr(
                name, b"\x80\x02" + pickled if name.endswith("data.pkl") else old.read(name)
            )
    refuse(tmp_path / "c.pt", buffer.getvalue())


def test_checkpoint_bomb(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(2**26))
    refuse(tmp_path / "c.pt", buffer.getvalue())


@pytest.mark.parametrize("name", ["../train.tsv", "/tmp/train.tsv", "a/../../train.tsv"])
def test_archive_cannot_write_outside_its_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr(name, "text")
    unzip(folder / "a.zip", "train.tsv", folder / "train.tsv")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert (folder / "train.tsv").read_text() == "text"
