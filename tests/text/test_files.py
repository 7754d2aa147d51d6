"""Nothing half-written stays, and a full disk is called so."""

import errno
import os
from pathlib import Path

import pytest

from stackbert.errors import run_step
from stackbert.text.files import replacing
from stackbert.text.progress import Progress


def test_replacing_keeps_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    with replacing(path) as file:
        file.write("one\ud800")
    with pytest.raises(RuntimeError), replacing(path) as file:
        file.write("two")
        raise RuntimeError
    assert path.read_text() == "one"
    assert [name.name for name in path.parent.iterdir()] == ["file"]


def test_a_full_disk_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def step() -> None:
        with replacing(tmp_path / "out") as file:
            file.write("much")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SystemExit) as caught:
        run_step(step, str(tmp_path / "log"), [str(tmp_path / "out")])
    assert caught.value.code == 1
    line = capsys.readouterr().err.strip()
    assert "No space left on device" in line and str(tmp_path / "out") in line
    assert "\n" not in line
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob("*.tmp"))


def test_progress_says_how_far(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    progress = Progress("clean", 100)
    progress.add(10)
    now[0] = 20.0
    progress.add(10)
    progress.add(10)
    assert capsys.readouterr().err == "clean: 20 %, 80 s left\n"
