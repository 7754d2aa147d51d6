"""Hand-made dumps and the real one that a developer may have beside the project."""

import bz2
import os
from collections.abc import Callable
from html import escape
from pathlib import Path

import pytest

_HEAD = """<mediawiki xml:lang="en">
  <siteinfo>
    <base>https://en.wikipedia.org/wiki/Main_Page</base>
    <namespaces>
      <namespace key="0" case="first-letter" />
      <namespace key="10" case="first-letter">Template</namespace>
    </namespaces>
  </siteinfo>
"""
_PAGE = """  <page>
    <title>{title}</title>
    <ns>{ns}</ns>
    <id>{number}</id>
{redirect}    <revision>
      <id>{number}00</id>
      <text xml:space="preserve">{text}</text>
    </revision>
  </page>
"""


def page(number: int, text: str, title: str = "", ns: int = 0, redirect: str = "") -> str:
    """One <page> of a dump."""
    mark = f'    <redirect title="{redirect}" />\n' if redirect else ""
    title = title or f"Article {number}"
    return _PAGE.format(number=number, title=title, ns=ns, redirect=mark, text=escape(text))


@pytest.fixture
def make_dump(tmp_path: Path) -> Callable[..., Path]:
    """Write pages as a bzip2 dump and give its path."""

    def make(*pages: str, tail: str = "</mediawiki>\n", name: str = "dump.xml.bz2") -> Path:
        path = tmp_path / name
        path.write_bytes(bz2.compress((_HEAD + "".join(pages) + tail).encode()))
        return path

    return make


PARAGRAPHS = [
    f"The {colour} house on the hill was built by a {trade} who had come from the {place}, and "
    f"its garden is said to be older than the {colour} walls around it. Nobody knows why."
    for colour in ("red", "green", "yellow", "white", "grey")
    for trade in ("baker", "sailor", "weaver", "miner")
    for place in ("north", "coast", "city")
]


@pytest.fixture
def small_dump(make_dump: Callable[..., Path]) -> Path:
    """Twenty articles of three paragraphs each; the last repeats the first."""
    groups = [PARAGRAPHS[i : i + 3] for i in range(0, len(PARAGRAPHS), 3)]
    groups.append(groups[0])
    return make_dump(*(page(i + 1, "\n\n".join(group)) for i, group in enumerate(groups)))


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Folder of real text, if there is one (STACKBERT_TEST_DATA, or ../shared/data)."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("STACKBERT_TEST_DATA", beside)) / "corpora"
    if not folder.is_dir():
        pytest.skip("no test corpora on this machine")
    return folder
