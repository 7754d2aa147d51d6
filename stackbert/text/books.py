"""Step 1 for books: folders of .txt and .epub files, one JSON line per book.

An .epub file is a zip archive of XHTML pages with a list of their order, so the standard library
and lxml read it. Books that are protected or broken are skipped, counted and listed.
"""

import json
import posixpath
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from lxml import etree, html

from stackbert.errors import UserError
from stackbert.text.files import replacing, write_json
from stackbert.text.progress import Progress

_ENCRYPTION = "META-INF/encryption.xml"
_OBFUSCATED_FONT = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_BLOCKS = ("p", "h1", "h2", "h3", "h4", "h5", "h6", "li", "blockquote", "pre", "div", "td", "dd")
_BROKEN = (zipfile.BadZipFile, zlib.error, etree.LxmlError, LookupError, ValueError, EOFError)
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)
_HTML_PARSER = html.HTMLParser(encoding="utf-8", no_network=True)


class _Unreadable(Exception):
    """Why a book is skipped."""


def read_books(
    folders: Sequence[str | Path], target: str | Path, skipped: str | Path, counts: str | Path
) -> Counter[str]:
    """Write every book below `folders` as a JSON line {id, title, text}, ordered by path.

    `skipped` gets a line `path reason` (TSV) for each book that cannot be read. Raises UserError
    for a folder that is not there or if no book can be read at all.
    """
    books = list(_books(folders))
    numbers: Counter[str] = Counter(books=0, skipped_books=0)
    progress = Progress("read_books", len(books))
    with replacing(target) as out, replacing(skipped) as rejects:
        rejects.write("path\treason\n")
        for name, path in books:
            try:
                text = _epub_text(path) if path.suffix.lower() == ".epub" else _plain_text(path)
            except _Unreadable as reason:
                numbers["skipped_books"] += 1
                rejects.write(f"{path}\t{reason}\n")
                print(f"read_books: skipped {path}: {reason}", file=sys.stderr, flush=True)
            else:
                numbers["books"] += 1
                book = {"id": name, "title": path.stem, "text": text}
                out.write(json.dumps(book, ensure_ascii=False) + "\n")
                numbers["characters"] += len(text)
            progress.add(1)
        if not numbers["books"]:
            listed = ", ".join(map(str, folders))
            raise UserError(
                f"no readable .txt or .epub file below {listed} ({numbers['skipped_books']} "
                "skipped). Name folders with books in corpus.books, or leave it empty."
            )
    write_json(counts, numbers)
    return numbers


def _books(folders: Sequence[str | Path]) -> Iterator[tuple[str, Path]]:
    """Name and path of each book, folder by folder, in the order of their names."""
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise UserError(f"{folder} is no folder. Mend corpus.books.")
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in (".txt", ".epub") and path.is_file():
                yield path.relative_to(folder).as_posix(), path


def _plain_text(path: Path) -> str:
    text = path.read_bytes().decode("utf-8", "ignore").replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise _Unreadable("no text in UTF-8")
    return text


def _epub_text(path: Path) -> str:
    """The blocks of the pages in reading order, a line each, an empty line between pages."""
    try:
        with zipfile.ZipFile(path) as archive:
            if _protected(archive):
                raise _Unreadable("protected (DRM)")
            pages = ["\n".join(_blocks(archive.read(name))) for name in _reading_order(archive)]
    except _BROKEN as error:
        raise _Unreadable(f"broken ({type(error).__name__}: {error})".replace("\n", " ")) from None
    except (NotImplementedError, RuntimeError) as error:  # of zipfile: compression, password
        raise _Unreadable(f"unsupported ({error})") from None
    text = "\n\n".join(filter(None, pages))
    if not text.strip():
        raise _Unreadable("no text")
    return text


def _protected(archive: zipfile.ZipFile) -> bool:
    """Whether more than fonts is encrypted."""
    if _ENCRYPTION not in archive.namelist():
        return False
    methods = etree.fromstring(archive.read(_ENCRYPTION), _PARSER).xpath(
        "//*[local-name()='EncryptionMethod']/@Algorithm"
    )
    return any(method not in _OBFUSCATED_FONT for method in methods)


def _reading_order(archive: zipfile.ZipFile) -> list[str]:
    """Names of the pages inside the archive, as the package document's spine orders them."""
    container = etree.fromstring(archive.read("META-INF/container.xml"), _PARSER)
    package = container.xpath("//*[local-name()='rootfile']/@full-path")[0]
    document = etree.fromstring(archive.read(package), _PARSER)
    items = {
        item.get("id"): item.get("href")
        for item in document.xpath("//*[local-name()='manifest']/*[local-name()='item']")
    }
    order = document.xpath("//*[local-name()='spine']/*[local-name()='itemref']/@idref")
    folder = posixpath.dirname(package)
    return [posixpath.normpath(posixpath.join(folder, unquote(items[name]))) for name in order]


def _blocks(page: bytes) -> Iterator[str]:
    """The text of each innermost paragraph, heading or list item of an XHTML page."""
    if not page.strip():
        return
    tree = html.document_fromstring(page.decode("utf-8", "ignore").encode(), _HTML_PARSER)
    etree.strip_elements(tree, "script", "style", "head", with_tail=False)
    for line_break in tree.iter("br"):
        line_break.tail = " " + (line_break.tail or "")
    blocks = [block for block in tree.iter(*_BLOCKS) if len(list(block.iter(*_BLOCKS))) == 1]
    for block in blocks or [tree]:
        text = " ".join(block.text_content().split())
        if text:
            yield text
