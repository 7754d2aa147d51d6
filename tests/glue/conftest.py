"""Small tasks, dictionaries and models; the real files where they are at hand."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from fairseq import checkpoint_utils
from fairseq_cli import train as fairseq_train_module
from glue_helpers import SETTINGS, WORDS, make_checkpoint

from stackbert.glue import finetune as finetune_module


@pytest.fixture
def real_glue() -> Path:
    """Folder of GLUE's real files, which may not be distributed."""
    beside = Path(__file__).parents[2].parent / "shared" / "data" / "glue"
    folder = Path(os.environ.get("STACKBERT_GLUE", beside))
    if not folder.is_dir():
        pytest.skip("no real GLUE files (set STACKBERT_GLUE to their folder)")
    return folder


@pytest.fixture(scope="session")
def dictionary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dictionary of 40 words."""
    path = tmp_path_factory.mktemp("dictionary") / "dict.txt"
    path.write_text("".join(f"{word} 1\n" for word in WORDS))
    return path


@pytest.fixture
def run(
    tmp_path: Path, dictionary: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Path]]:
    """Fine-tune with the real fairseq-train, but in this process: its import takes seconds."""

    torch.set_num_threads(1)  # as the runs of the workflow; more threads only wait for each other

    def in_process(arguments: Sequence[str], *_: Any) -> None:
        vars(checkpoint_utils.save_checkpoint).clear()  # fairseq keeps the best score there
        monkeypatch.setattr(sys, "argv", ["fairseq-train", *arguments])
        fairseq_train_module.cli_main()

    def finetune(
        name: str, recipe: str = "r", seed: int = 1, dictionary: Path = dictionary, **settings: Any
    ) -> dict[str, Path]:
        merged = SETTINGS | {"tasks": [name]} | settings
        folder = tmp_path / recipe / name / f"seed{seed}"
        checkpoint = make_checkpoint(tmp_path / "checkpoint.pt", dictionary, merged["model"])
        names = {"scores": "scores.json", "predictions": "predictions.tsv", "test": "test.tsv"}
        outputs = {key: folder / file for key, file in (names | {"model": "model.pt"}).items()}
        finetune_module.finetune(
            name,
            recipe,
            seed,
            merged,
            str(tmp_path / "data"),
            str(dictionary),
            str(checkpoint),
            {key: str(path) for key, path in outputs.items()},
            str(tmp_path / "log"),
        )
        return outputs

    monkeypatch.setattr(finetune_module, "fairseq_train", in_process)
    return finetune
