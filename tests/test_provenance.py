"""Provenance: what run.json says, with git, without it, and inside another repository."""

import json
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from stackbert.provenance import ROOT, git_state, machine, write_run


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@t", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_write_run_holds_config_seed_versions_and_machine(tmp_path: Path) -> None:
    path = tmp_path / "L3" / "run.json"
    write_run(path, {"model": {"width": 128}, "folder": tmp_path}, seed=7)
    run = json.loads(path.read_text(encoding="utf-8"))
    assert run["config"] == {"model": {"width": 128}, "folder": str(tmp_path)}
    assert run["seed"] == 7
    assert {"commit", "dirty", "python", "written"} <= run.keys()
    assert run["versions"]["torch"] == metadata.version("torch")
    assert run["machine"]["cores"] >= 1
    assert [p.name for p in path.parent.iterdir()] == ["run.json"]


def test_git_state_names_commit_and_dirt(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("1")
    assert git_state(tmp_path)["commit"] is None
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-q", "-m", "first")
    assert git_state(tmp_path) == {"commit": git(tmp_path, "rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "file").write_text("2")
    assert git_state(tmp_path)["dirty"] is True


def test_a_copy_inside_another_repository_has_no_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "theirs")
    copy = tmp_path / "copy"
    copy.mkdir()
    assert git_state(copy) == {"commit": None, "dirty": None}


def test_no_git_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(ROOT) == {"commit": None, "dirty": None}
    assert machine()["gpus"] == []
