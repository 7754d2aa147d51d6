"""Reading and writing checkpoints of training: always weights-only, whole or not at all."""

import argparse
import io
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stackbert.errors import UserError, write_atomic

Checkpoint = dict[str, Any]


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Load a checkpoint of fairseq without running code from it.

    Raises UserError if the file is missing, truncated, damaged or no checkpoint of a model.
    """
    try:
        _check_archive(path)
        # argparse.Namespace is the one class of fairseq's checkpoints that is no plain value.
        with torch.serialization.safe_globals([argparse.Namespace]):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: train its stage again (run snakemake)") from None
    except OSError:
        raise
    except Exception as error:  # what unpickling damaged bytes can raise is not listed anywhere
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{path} is truncated or no checkpoint ({reason}): delete it and run snakemake again"
        ) from None
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("model"), dict):
        raise UserError(f"{path} holds no model: delete it and run snakemake again")
    return checkpoint


def _check_archive(path: str | Path) -> None:
    """Refuse what torch.save did not write whole; torch itself looks at no checksum."""
    with zipfile.ZipFile(path) as archive:
        packed = [entry for entry in archive.infolist() if entry.compress_type]
        if packed:  # torch.save packs nothing; a small file could unpack to any size
            raise zipfile.BadZipFile(f"entry {packed[0].filename} is compressed")
        damaged = archive.testzip()
    if damaged:
        raise zipfile.BadZipFile(f"wrong checksum of {damaged}")


def updates_done(checkpoint: Checkpoint) -> int:
    """Optimizer updates after which a checkpoint of training was written."""
    history = checkpoint.get("optimizer_history") or [{"num_updates": 0}]
    return int(history[-1]["num_updates"])


def adam_moments(checkpoint: Checkpoint) -> dict[str, dict[str, Tensor]]:
    """Adam's exp_avg, exp_avg_sq and step by parameter name.

    A checkpoint numbers them in the order of the model's parameters, which is that of its weights:
    the model has no other tensors. Raises UserError if they do not fit the weights.
    """
    state = (checkpoint.get("last_optimizer_state") or {}).get("state", {})
    named = list(checkpoint["model"].items())
    keys = ("exp_avg", "exp_avg_sq", "step")
    fits = state and all(
        number < len(named)
        and entry.keys() >= set(keys)
        and entry["exp_avg"].shape == named[number][1].shape
        for number, entry in state.items()
    )
    if not fits:
        raise UserError(
            "the checkpoint holds no Adam moments for each of its parameters: choose moments: "
            "reset for the stage that grows from it, or train its stage again"
        )
    return {named[number][0]: {key: entry[key] for key in keys} for number, entry in state.items()}


def save_initial(
    path: str | Path, model: dict[str, Tensor], growth: dict[str, Any] | None = None
) -> None:
    """Write weights from which fairseq starts a new stage: no optimizer state, no updates.

    `growth` is for the stage's task: `new`, the numbers of the layers that were added, and
    `moments`, Adam's by parameter name.
    """
    buffer = io.BytesIO()
    torch.save(
        {
            "args": None,
            "cfg": None,
            "model": model,
            "criterion": None,
            "optimizer_history": [
                {"optimizer_name": "", "lr_scheduler_state": {}, "num_updates": 0}
            ],
            "extra_state": {"train_iterator": {"epoch": 1}},
            "growth": growth or {},
        },
        buffer,
    )
    write_atomic(path, buffer.getvalue())
