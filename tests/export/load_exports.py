"""Loads exported folders as a stranger would, and writes down what comes out.

Run in a process of its own: without this package, fairseq and sentencex, and without a network.
Exit code 77 says that transformers is not installed.
"""

import contextlib
import importlib.abc
import importlib.util
import io
import json
import re
import socket
import sys
from pathlib import Path
from typing import Any

ABSENT = {"stackbert", "stackbert_fairseq", "fairseq", "sentencex"}


class Blocker(importlib.abc.MetaPathFinder):
    """Makes the modules of `ABSENT` look as if they were not installed."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Refuse an absent module."""
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}")


def no_network(*_: Any) -> None:
    """Stands for socket.connect."""
    raise OSError("the test has no network")


if importlib.util.find_spec("transformers") is None:
    print("transformers is not installed (requirements-export.lock)")
    sys.exit(77)
if importlib.util.find_spec("torchaudio") is not None:
    print("torchaudio is installed, which the lock leaves out since transformers cannot load it")
    sys.exit(77)
sys.meta_path.insert(0, Blocker())
socket.socket.connect = no_network  # type: ignore[method-assign, assignment]

import torch  # noqa: E402
from transformers import (  # noqa: E402
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    pipeline,
)

PAIRS: list[tuple[str, str | None]] = [
    ("The capital of France is Paris.", None),
    ("He «really» said: “isn't it,, café?”.... <<yes>> *Stars* 5,300 %", "C:\\dir\t$5.50 (a )"),
    ("Ünïcödé — 東京 </s> <cls> @@ @-@ <unk> don't Mr. Smith", "\u00a0no-break\u200bspace\u00ad"),
    ("the capital of the world " * 9, None),
    ("the capital of the world " * 9, "is it good? " * 12),
    ("is it good? " * 3, "the capital of the world " * 9),
    ("a", ""),
]


def tokens_of(tokenizer: Any) -> Any:
    """A padded batch of all texts."""
    parts = [tokenizer(a, b, truncation=True) for a, b in PAIRS]
    return tokenizer.pad(parts, return_tensors="pt")


def values(batch: Any) -> dict[str, Any]:
    """Tensors as lists."""
    return {key: tensor.tolist() for key, tensor in batch.items()}


def example_of(folder: Path) -> str:
    """What the model card's own example prints."""
    code = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code[1].replace("path/to/this/folder", str(folder)), {})  # type: ignore[index]
    return printed.getvalue()


@torch.no_grad()
def main(folder: Path, output: Path) -> None:
    """Load every export below `folder` and write what it gives as JSON."""
    options = {"trust_remote_code": True}
    tokenizer = AutoTokenizer.from_pretrained(folder, **options)
    masked = AutoModelForMaskedLM.from_pretrained(folder, **options)
    batch = tokens_of(tokenizer)
    fill = pipeline("fill-mask", model=str(folder), **options)
    bare = {"input_ids": batch["input_ids"]}
    seen: dict[str, Any] = {
        "pairs": PAIRS,
        "tokens": values(batch),
        "logits": masked(**batch).logits.tolist(),
        "logits_of_ids_alone": masked(**bare).logits.tolist(),
        "states": AutoModel.from_pretrained(folder, **options)(**batch).last_hidden_state.tolist(),
        "loss": masked(**batch, labels=batch["input_ids"]).loss.item(),
        "fill": fill("The <mask> of France, <mask>!", top_k=3),
        "one": fill("the <mask> of the world"),
        "example": example_of(folder),
        "tasks": {},
    }
    saved = output.with_name("saved")
    masked.save_pretrained(saved)
    tokenizer.save_pretrained(saved)
    again = AutoModelForMaskedLM.from_pretrained(saved, **options)
    tokens = tokens_of(AutoTokenizer.from_pretrained(saved, **options))
    seen["logits_after_saving"] = again(**tokens).logits.tolist()
    fresh = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3, **options)
    seen["fresh_classifier"] = fresh.classifier.weight.abs().sum().item()
    for task in sorted(path for path in folder.iterdir() if path.is_dir()):
        model = AutoModelForSequenceClassification.from_pretrained(task, **options)
        own = tokens_of(AutoTokenizer.from_pretrained(task, **options))
        seen["tasks"][task.name] = {
            "logits": model(**own).logits.tolist(),
            "tokens": values(own),
            "labels": list(model.config.id2label.values()),
            "example": example_of(task),
        }
    output.write_text(json.dumps(seen), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
