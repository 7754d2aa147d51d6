"""Step 1: article text out of a Wikipedia dump, by WikiExtractor, one JSON line per article.

What WikiExtractor decides is kept: only pages of the article namespace, no redirects; pages of
disambiguation and lists are articles like any other (their bullet points fall away). Templates are
dropped unless asked for, because expanding them is several times slower. Undecodable bytes are
dropped here, before anything else sees the text, and entities such as &lt; are resolved.
"""

import bz2
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from io import StringIO
from multiprocessing import Pool
from pathlib import Path
from typing import Any

from wikiextractor import WikiExtractor, template_blob
from wikiextractor.extract import _DEFAULT_IGNORED_TAG_PATTERNS, Extractor, ignoreTag

from stackbert.errors import UserError
from stackbert.text.files import replacing, write_json
from stackbert.text.progress import Progress

_LONGEST_PAGE = 2**26  # characters; MediaWiki allows an article 2 MiB
_NAMESPACE = re.compile(r'<namespace key="(\d+)"[^>]*>([^<]+)</namespace>')

_options: dict[str, Any] = {}  # of the extractor; filled in each worker process


def extract(
    dump: str | Path,
    target: str | Path,
    counts_path: str | Path,
    templates: bool = False,
    processes: int = 1,
) -> dict[str, int]:
    """Write the dump's articles to `target` as JSON lines {id, title, text}, in the dump's order.

    Raises UserError for a file that is not bzip2, is cut off, or holds no article.
    """
    counts: Counter[str] = Counter()
    with ExitStack() as stack, replacing(target) as out:
        options, names = _prepare(dump, templates, stack)
        with Pool(processes, _start_worker, (options, names)) as pool:
            for line in pool.imap(_article, _pages(dump), chunksize=8):
                counts["articles" if line else "empty_articles"] += 1
                if line:
                    out.write(line)
                    counts["characters"] += len(line)
        if not counts["articles"]:
            raise UserError(
                f"{_named(dump)} holds no article with text. A dump of pages-articles in XML was "
                "expected; give another file."
            )
    write_json(counts_path, ordered := dict(sorted(counts.items())))
    return ordered


def _prepare(dump: str | Path, templates: bool, stack: ExitStack) -> tuple[dict[str, Any], Any]:
    """The extractor's options from the head of the dump, and names of the shared templates."""
    namespaces = {"10": "Template"}
    for line in _dump_lines(dump):
        namespaces |= dict(_NAMESPACE.findall(line))
        if "</siteinfo>" in line or "<page>" in line:
            break
    prefix = namespaces["10"] + ":"
    # WikiExtractor skips titles that begin with this; with the colon, so that an article such as
    # "Template metaprogramming" stays.
    WikiExtractor.templateNamespace = prefix
    options = {
        "templatePrefix": prefix,
        "knownNamespaces": {"Template", *namespaces.values()},
        "ignored_tag_patterns": [*_DEFAULT_IGNORED_TAG_PATTERNS, ignoreTag("a")],
        "to_json": True,
        "discard_empty": True,
    }
    if not templates:
        return options, None
    _report("first pass over the dump, for its templates")
    with bz2.open(dump, "rt", encoding="utf-8", errors="ignore") as file:
        contents, redirects, again, _ = WikiExtractor.load_and_compact_templates(
            None, str(dump), file, prefix
        )
    again.close()
    return options, (stack.enter_context(contents)[1], stack.enter_context(redirects)[1])


def _start_worker(options: dict[str, Any], names: Any) -> None:
    _options.update(options)
    if names:
        for key, shared in zip(("templates", "redirects"), names, strict=True):
            _options[key] = template_blob.attach(shared).__enter__()


def _article(page: tuple[str, str, str, list[str]]) -> str:
    """One page -> its JSON line, or "" for a page without text."""
    identity, revision, title, lines = page
    out = StringIO()
    Extractor(identity, revision, "", title, lines, **_options).extract(out, html_safe=False)
    if not out.getvalue():
        return ""
    found = json.loads(out.getvalue())
    article = {key: found[key] for key in ("id", "title", "text")}
    return json.dumps(article, ensure_ascii=False) + "\n"


def _pages(dump: str | Path) -> Iterator[tuple[str, str, str, list[str]]]:
    yield from WikiExtractor.collect_pages(_dump_lines(dump, "extract"))


def _dump_lines(dump: str | Path, step: str = "") -> Iterator[str]:
    """The lines of the dump, with progress if a step is named; UserError if it is not whole."""
    last, has_pages = "", False
    try:
        with (
            open(dump, "rb") as raw,
            bz2.open(raw, "rt", encoding="utf-8", errors="ignore", newline="\n") as file,
        ):
            progress = Progress(step, os.path.getsize(dump)) if step else None
            size = 0  # of the page so far
            while line := file.readline(_LONGEST_PAGE):
                last = line if line.strip() else last
                if "<page>" in line:
                    size, has_pages = 0, True
                    if progress:
                        progress.at(raw.tell())
                size += len(line)
                if size >= _LONGEST_PAGE:
                    raise UserError(
                        f"{_named(dump)} has a page or a line without an end (over "
                        f"{_LONGEST_PAGE >> 20} MiB). Give a dump of pages-articles in XML."
                    )
                yield line
    except EOFError:
        raise UserError(
            f"{_named(dump)} is cut off in the middle. Delete it, so that it is downloaded again, "
            "or give a complete file."
        ) from None
    except OSError as error:
        if error.errno is not None:  # the disk's trouble, not the content's
            raise
        raise UserError(
            f"{_named(dump)} is not a bzip2 file ({error}). Give a dump named "
            "pages-articles.xml.bz2."
        ) from None
    if has_pages and "</mediawiki>" not in last:
        raise UserError(
            f"{_named(dump)} ends before </mediawiki>: it is cut off. Delete it, so that it is "
            "downloaded again, or give a complete file."
        )


def _named(dump: str | Path) -> str:
    """The dump's path, and where it leads if it is a link to the user's own file."""
    return f"{dump} (a link to {Path(dump).resolve()})" if Path(dump).is_symlink() else str(dump)


def _report(message: str) -> None:
    print(f"extract: {message}", file=sys.stderr, flush=True)
