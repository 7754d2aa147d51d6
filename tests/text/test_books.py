"""Books made by hand: plain, epub, protected, broken."""

import json
import zipfile
from pathlib import Path

import pytest

from stackbert.errors import UserError
from stackbert.text.books import read_books
from stackbert.text.files import read_json

CONTAINER = """<?xml version="1.0"?>
<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>
<rootfile full-path="OPS/book.opf" media-type="application/oebps-package+xml"/>
</rootfiles></container>"""
PACKAGE = """<?xml version="1.0"?>
<package xmlns="http://www.idpf.org/2007/opf" version="2.0"><manifest>
<item id="b" href="second%20page.xhtml"/><item id="a" href="text/first.xhtml"/>
<item id="css" href="style.css"/></manifest>
<spine><itemref idref="a"/><itemref idref="b"/></spine></package>"""
FIRST = """<?xml version="1.0" encoding="utf-8"?>
<html xmlns="http://www.w3.org/1999/xhtml"><head><title>No</title><style>p {}</style></head><body>
<h1>Chapter\n one</h1><div><p>It was <b>caf\u00e9</b> &amp;&nbsp;dark.</p><p>And cold.</p></div>
<script>no()</script></body></html>"""
ENCRYPTION = """<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<EncryptedData xmlns="http://www.w3.org/2001/04/xmlenc#"><EncryptionMethod Algorithm="{}"/>
</EncryptedData></encryption>"""


def epub(path: Path, changed: dict[str, str | None] | None = None) -> None:
    files: dict[str, str | None] = {
        "META-INF/container.xml": CONTAINER,
        "OPS/book.opf": PACKAGE,
        "OPS/text/first.xhtml": FIRST,
        "OPS/second page.xhtml": "<html><body>Bare text.<br/>No blocks.</body></html>",
    }
    files |= changed or {}
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            if text is not None:
                archive.writestr(name, text)


def run(folder: Path, *folders: Path) -> tuple[dict[str, str], str, dict[str, int]]:
    out = [folder / name for name in ("books.jsonl", "skipped.tsv", "counts.json")]
    read_books(folders or [folder], *out)
    books = [json.loads(line) for line in out[0].read_text().splitlines()]
    return {book["id"]: book["text"] for book in books}, out[1].read_text(), read_json(out[2])


def test_plain_text_drops_what_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two.TXT").write_bytes(b"caf\xe9 au\r\nlait")
    (tmp_path / "one.txt").write_bytes("café\n".encode())
    (tmp_path / "notes.md").write_text("not a book")
    books, skipped, counts = run(tmp_path)
    assert list(books.items()) == [("b/two.TXT", "caf au\nlait"), ("one.txt", "café\n")]
    assert skipped == "path\treason\n"
    assert counts == {"books": 2, "skipped_books": 0, "characters": 16}


def test_epub_in_reading_order(tmp_path: Path) -> None:
    epub(tmp_path / "x.epub")
    books, _, _ = run(tmp_path)
    assert books["x.epub"] == "Chapter one\nIt was café & dark.\nAnd cold.\n\nBare text. No blocks."


def test_obfuscated_fonts_are_no_protection(tmp_path: Path) -> None:
    fonts = ENCRYPTION.format("http://www.idpf.org/2008/embedding")
    epub(tmp_path / "x.epub", {"META-INF/encryption.xml": fonts})
    assert run(tmp_path)[2]["books"] == 1


def test_bad_books_are_skipped_counted_and_listed(tmp_path: Path) -> None:
    epub(tmp_path / "good.epub")
    whole = (tmp_path / "good.epub").read_bytes()
    drm = ENCRYPTION.format("http://www.w3.org/2001/04/xmlenc#aes128-cbc")
    epub(tmp_path / "drm.epub", {"META-INF/encryption.xml": drm})
    epub(tmp_path / "no-package.epub", {"OPS/book.opf": None})
    epub(tmp_path / "lost-page.epub", {"OPS/second page.xhtml": None})
    epub(tmp_path / "garbled.epub", {"META-INF/container.xml": "<<<"})
    (tmp_path / "cut.epub").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "html.epub").write_text("<html>not found</html>")
    (tmp_path / "empty.txt").write_bytes(b"\xff\xfe \n")
    books, skipped, counts = run(tmp_path)
    assert list(books) == ["good.epub"]
    assert counts["skipped_books"] == 7
    listed = dict(line.split("\t") for line in skipped.splitlines()[1:])
    assert listed[str(tmp_path / "drm.epub")] == "protected (DRM)"
    assert listed[str(tmp_path / "empty.txt")] == "no text in UTF-8"
    assert len(listed) == 7


def test_no_folder_and_no_book(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere is no folder"):
        run(tmp_path, tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no readable \.txt or \.epub file below .* \(0 skipped\)"):
        run(tmp_path)
    assert list(tmp_path.iterdir()) == []
