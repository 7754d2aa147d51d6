"""Articles out of hand-made and real dumps, and what is said of dumps that are none."""

import bz2
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stackbert.errors import UserError
from stackbert.text.extract import extract
from stackbert.text.files import read_json
from tests.text.conftest import page


def run(dump: Path, **options: Any) -> tuple[list[dict[str, str]], dict[str, int]]:
    text, counts = dump.parent / "text.jsonl", dump.parent / "counts.json"
    extract(dump, text, counts, **options)
    return [json.loads(line) for line in text.read_text().splitlines()], read_json(counts)


def test_articles_only(make_dump: Callable[..., Path]) -> None:
    articles, counts = run(
        make_dump(
            page(1, "First '''bold''' [[link|words]].\n\n== Head ==\nSecond &lt;mask> & more."),
            page(2, "#REDIRECT [[Article 1]]", redirect="Article 1"),
            page(3, "A talk page.", title="Talk:Article 1", ns=1),
            page(4, "A template.", title="Template:Box", ns=10),
            page(5, "About them.", title="Template metaprogramming"),
            page(6, ""),
        )
    )
    assert [article["title"] for article in articles] == ["Article 1", "Template metaprogramming"]
    assert articles[0]["text"] == "First bold words.\nHead.\nSecond <mask> & more."
    assert (counts["articles"], counts["empty_articles"]) == (2, 1)


@pytest.mark.parametrize(
    ("templates", "text"), [(False, "It is  wide."), (True, "It is 5 km wide.")]
)
def test_templates(make_dump: Callable[..., Path], templates: bool, text: str) -> None:
    box = page(1, "{{{1}}} km", title="Template:Length", ns=10)
    articles, _ = run(make_dump(box, page(2, "It is {{Length|5}} wide.")), templates=templates)
    assert " ".join(articles[0]["text"].split()) == " ".join(text.split())


def test_undecodable_bytes_and_lone_surrogates_are_dropped(tmp_path: Path, make_dump: Any) -> None:
    dump = make_dump(page(1, "caf~ and &#xD800;more"))
    raw = bz2.decompress(dump.read_bytes()).replace(b"~", b"\xff")
    dump.write_bytes(bz2.compress(raw))
    articles, _ = run(dump)
    assert articles[0]["text"] == "caf and more"


def test_order_does_not_depend_on_processes(small_dump: Path) -> None:
    assert run(small_dump, processes=1) == run(small_dump, processes=3)


def damaged(kind: str, dump: Path, make_dump: Callable[..., Path]) -> Path:
    whole = dump.read_bytes()
    if kind == "cut off":
        dump.write_bytes(whole[: len(whole) // 2])
    elif kind == "cut between streams":
        return make_dump(page(1, "Some text."), tail="")
    elif kind == "not bzip2":
        dump.write_bytes(b"<html>not here</html>")
    elif kind == "empty":
        dump.write_bytes(b"")
    elif kind == "another text":
        dump.write_bytes(bz2.compress(b"just some words\n"))
    elif kind == "no article":
        return make_dump(page(1, "Hello", title="Talk:Hello", ns=1))
    return dump


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("cut off", "is cut off in the middle"),
        ("cut between streams", "ends before </mediawiki>"),
        ("not bzip2", "is not a bzip2 file"),
        ("empty", "is cut off"),
        ("another text", "holds no article"),
        ("no article", "holds no article"),
    ],
)
def test_a_bad_dump_is_named_and_leaves_nothing(
    kind: str, message: str, small_dump: Path, make_dump: Callable[..., Path]
) -> None:
    dump = damaged(kind, small_dump, make_dump)
    with pytest.raises(UserError, match=message) as caught:
        run(dump)
    assert str(dump) in str(caught.value)
    assert sorted(path.name for path in dump.parent.iterdir()) == [dump.name]


def test_real_dump(corpora: Path, tmp_path: Path) -> None:
    dump = next((corpora / "enwiki").glob("*shortened.bz2"))
    extract(dump, tmp_path / "text", tmp_path / "counts", processes=2)
    assert read_json(tmp_path / "counts")["articles"] == 105
