"""Jobs that run at once never share a GPU; nothing here needs one."""

import threading

import pytest

from stackbert import gpus
from stackbert.errors import UserError


@pytest.fixture(autouse=True)
def two_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-5a/1")
    monkeypatch.setattr(gpus.tempfile, "gettempdir", lambda: tmp_path)
    monkeypatch.setattr(gpus, "EVERY", 0.01)


def test_each_job_has_its_own_and_the_third_waits(capsys: pytest.CaptureFixture[str]) -> None:
    third, done = [], threading.Event()

    def wait() -> None:
        with gpus.claim(1, "third") as environment:
            third.append(environment)
            done.set()

    with gpus.claim(1, "first") as first:
        with gpus.claim(1, "second") as second:
            assert first == {"CUDA_VISIBLE_DEVICES": "2"}
            assert second == {"CUDA_VISIBLE_DEVICES": "GPU-5a/1"}
            threading.Thread(target=wait).start()
            assert not done.wait(0.2)
        assert done.wait(10) and third == [second]
    assert "third: waiting for a free GPU" in capsys.readouterr().err


def test_several_for_one_job_are_held_together() -> None:
    with gpus.claim(2, "both") as both:
        assert both == {"CUDA_VISIBLE_DEVICES": "2,GPU-5a/1"}
    with pytest.raises(UserError, match="stage needs 3 GPUs and 2 can be seen"):
        gpus.claim(3, "stage").__enter__()
