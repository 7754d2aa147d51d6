"""Downloads against a local server that misbehaves in every way a server can."""

import hashlib
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from stackbert import download
from stackbert.download import fetch, fetch_package_member, fetch_url
from stackbert.errors import UserError

DATA = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(DATA).hexdigest()
SHA1 = hashlib.sha1(DATA).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves DATA at /good and in worse ways elsewhere; `seen` lists (path, Range header)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str | None]] = []
        self.etag = '"one"'

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"

    def times(self, path: str) -> int:
        return sum(seen == f"/{path}" for seen, _ in self.seen)


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path[1:]
        self.server.seen.append((self.path, self.headers.get("Range")))
        first = self.server.times(path) == 1
        if path.isdigit():
            self.answer(int(path), b"no")
        elif path == "busy":
            self.answer(429 if first else 200, DATA, retry="0")
        elif path == "altered":
            self.answer(200, DATA[:-1] + b"x")
        elif path == "drop-once":
            self.ranged(cut=100_000 if first else None)
        elif path == "drop-always":
            self.ranged(cut=0)
        elif path == "no-ranges":
            self.answer(200, DATA, cut=50_000 if first else None)
        elif path == "changes":
            self.ranged(cut=100_000 if first else None)
            self.server.etag = '"two"'
        elif path == "wrong-range":
            self.ranged(cut=100_000 if first else None, shift=7 if self.headers["Range"] else 0)
        elif path == "nameless":  # ranges, but nothing to tell the file's version by
            self.server.etag = ""
            self.ranged(cut=100_000 if first else None)
        elif path == "too-long":
            self.answer(200, DATA, claimed=len(DATA) + 5)
        elif path == "too-short":
            self.answer(200, DATA, claimed=len(DATA) - 5)
        elif path == "no-length":
            self.answer(200, DATA, claimed=None)
        elif path == "sums":
            sums = f"{SHA1}  other\n{SHA1}  drop-once\n{'0' * 40}  altered\n"
            sums += f"{SHA256} *wiki-20260101-articles.bz2\n"
            self.answer(200, sums.encode())
        else:
            self.ranged()

    def ranged(self, cut: int | None = None, shift: int = 0) -> None:
        wanted = self.headers.get("Range")
        if wanted and self.headers.get("If-Range", "") == self.server.etag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            self.answer(206, DATA[start:], cut=cut, start=start + shift)
        else:
            self.answer(200, DATA, cut=cut)

    def answer(
        self,
        status: int,
        body: bytes,
        claimed: int | None = -1,
        cut: int | None = None,
        start: int | None = None,
        retry: str | None = None,
    ) -> None:
        self.send_response(status)
        if self.server.etag:
            self.send_header("ETag", self.server.etag)
        self.send_header("Connection", "close")
        if claimed is not None:
            self.send_header("Content-Length", str(len(body) if claimed < 0 else claimed))
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
        if retry is not None:
            self.send_header("Retry-After", retry)
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "made" / "file"


def get(urls: str | list[str], target: Path, sha256: str | None = SHA256, **more: Any) -> None:
    urls = [urls] if isinstance(urls, str) else urls
    fetch_url(urls, target, sha256, **{"attempts": 3, "pause": 0.0, "timeout": 5.0} | more)


@pytest.mark.parametrize(
    "path",
    ["good", "busy", "drop-once", "no-ranges", "changes", "wrong-range", "nameless", "no-length"],
)
def test_a_server_that_can_be_coped_with(server: Server, target: Path, path: str) -> None:
    get(server.url(path), target)
    assert target.read_bytes() == DATA
    assert [file.name for file in target.parent.iterdir()] == ["file"]


def test_an_interrupted_download_goes_on_where_it_stopped(server: Server, target: Path) -> None:
    get(server.url("drop-once"), target)
    assert server.seen == [("/drop-once", None), ("/drop-once", "bytes=100000-")]


def test_also_in_a_later_run(server: Server, target: Path) -> None:
    with pytest.raises(UserError, match="the connection ended after 100000 of"):
        get(server.url("drop-once"), target, attempts=1)
    assert not target.exists()
    get(server.url("drop-once"), target)
    assert server.seen[-1] == ("/drop-once", "bytes=100000-")
    assert target.read_bytes() == DATA


def test_a_checksum_allows_to_go_on_without_a_version(server: Server, target: Path) -> None:
    get(server.url("nameless"), target)
    assert server.seen[-1] == ("/nameless", "bytes=100000-")


def test_without_either_it_begins_anew(server: Server, target: Path) -> None:
    get(server.url("nameless"), target, sha256=None)
    assert server.seen == [("/nameless", None), ("/nameless", None)]
    assert target.read_bytes() == DATA


def test_a_mirror_goes_on_from_another(server: Server, target: Path) -> None:
    with pytest.raises(UserError):
        get(server.url("drop-once"), target, attempts=1)
    server.etag = ""
    get(server.url("good"), target)
    assert server.seen[-1] == ("/good", "bytes=100000-")


def test_pieces_that_do_not_fit_are_fetched_again_in_one_go(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("file.part").write_bytes(b"of another version")
    server.etag = ""
    get(server.url("good"), target)
    assert [wanted for _, wanted in server.seen] == ["bytes=18-", None]
    assert target.read_bytes() == DATA


def test_a_file_that_changed_meanwhile_is_not_patched_up(server: Server, target: Path) -> None:
    get(server.url("changes"), target, sha256=None)
    assert target.read_bytes() == DATA
    assert server.seen[1] == ("/changes", "bytes=100000-")


@pytest.mark.parametrize(
    ("path", "reason", "requests"),
    [
        ("404", "status 404", 1),
        ("403", "status 403", 1),
        ("500", r"status 500 .*tried 3 times in a row", 3),
        ("503", r"status 503 .*tried 3 times in a row", 3),
        ("drop-always", "the connection ended after 0 of 512000 bytes", 3),
        ("too-long", "the connection ended after 512000 of 512005 bytes", 3),
        ("too-short", "checksum .* where .* was expected", 1),
        ("altered", "checksum .* where .* was expected", 1),
    ],
)
def test_a_server_that_cannot_be_coped_with(
    server: Server, target: Path, path: str, reason: str, requests: int
) -> None:
    with pytest.raises(UserError, match=reason) as caught:
        get(server.url(path), target)
    assert server.url(path) in str(caught.value)
    assert server.times(path) == requests
    assert not target.exists()


def test_an_altered_part_is_thrown_away(server: Server, target: Path) -> None:
    with pytest.raises(UserError):
        get(server.url("altered"), target)
    assert list(target.parent.iterdir()) == []


def test_the_next_mirror_is_tried(server: Server, target: Path) -> None:
    dead = "http://127.0.0.1:9/nobody-listens"
    get([server.url("404"), dead, server.url("altered"), server.url("good")], target)
    assert target.read_bytes() == DATA


def test_all_mirrors_are_listed_with_their_reasons(server: Server, target: Path) -> None:
    urls = [server.url("404"), server.url("altered"), "http://127.0.0.1:9/x", "gopher://x/y", "?"]
    with pytest.raises(UserError) as caught:
        get(urls, target, attempts=1)
    message = str(caught.value)
    assert all(url in message for url in urls)
    assert "status 404" in message and "checksum" in message and "refused" in message
    assert "\n" not in message


def test_the_publishers_own_checksums(server: Server, target: Path) -> None:
    get(server.url("drop-once"), target, sha256=None, checksums=server.url("sums"))
    assert target.read_bytes() == DATA
    latest = server.url("wiki-latest-articles.bz2")
    get(latest, target, sha256=None, checksums=server.url("sums"))
    for path, reason in (("altered", "checksum"), ("good", "does not list good")):
        with pytest.raises(UserError, match=reason):
            get(server.url(path), target, sha256=None, checksums=server.url("sums"))
    with pytest.raises(UserError, match="cannot be read"):
        get(server.url("good"), target, sha256=None, checksums=server.url("404"))


def test_a_local_file_is_linked(tmp_path: Path, target: Path) -> None:
    (tmp_path / "mine").write_bytes(DATA)
    fetch({"package": None, "path": str(tmp_path / "mine"), "sha256": SHA256}, target)
    assert target.is_symlink() and target.read_bytes() == DATA
    fetch({"path": str(tmp_path / "mine")}, target)
    assert [file.name for file in target.parent.iterdir()] == ["file"]


def test_a_local_file_that_is_missing_or_altered(tmp_path: Path, target: Path) -> None:
    with pytest.raises(UserError, match="mine: no such file"):
        fetch({"path": str(tmp_path / "mine")}, target)
    (tmp_path / "mine").write_bytes(DATA[1:])
    with pytest.raises(UserError, match="mine: checksum"):
        fetch({"path": str(tmp_path / "mine"), "sha256": SHA256}, target)
    assert (tmp_path / "mine").exists() and not target.exists()


@pytest.fixture
def wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package index has one wheel, which holds DATA as inside/data."""

    def made(requirement: str, folder: str) -> Path:
        path = Path(folder, "thing-1.0-py3-none-any.whl")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("inside/data", DATA)
        return path

    monkeypatch.setattr(download, "_download_wheel", made)


def test_a_member_of_a_wheel(wheel: None, target: Path) -> None:
    fetch({"package": "thing==1.0", "member": "inside/data", "sha256": SHA256}, target)
    assert target.read_bytes() == DATA


@pytest.mark.parametrize(
    ("member", "sha256", "message"),
    [
        ("inside/other", SHA256, "holds no file 'inside/other'"),
        ("inside/data", "0" * 64, "inside/data of thing==1.0: checksum"),
    ],
)
def test_a_wrong_member_leaves_nothing(
    wheel: None, target: Path, member: str, sha256: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        fetch_package_member("thing==1.0", member, sha256, target)
    assert list(target.parent.iterdir()) == []


def test_a_package_that_cannot_be_had(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(UserError, match=r"cannot download thing==1\.0 from the package index"):
        fetch_package_member("thing==1.0", "data", None, target)


def test_a_folder_that_cannot_be_written(tmp_path: Path, server: Server) -> None:
    (tmp_path / "made").write_text("a file where the folder should be")
    with pytest.raises(OSError):
        get(server.url("good"), tmp_path / "made" / "file")
