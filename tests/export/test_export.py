"""Exported folders: the ids and logits of training, without this package."""

import ast
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from handmade_run import TASKS

from stackbert.export.bundle import bundle, file_names, sources
from stackbert.glue.tasks import task
from stackbert.pairs import collate_pairs
from stackbert.text.pipeline import TextPipeline
from stackbert.trained import Trained, load
from stackbert_fairseq.pairs import load_dictionary

NEEDS = {"torch", "numpy", "transformers", "sacremoses", "subword_nmt", "regex"}
Batch = dict[str, Any]


def ours(results: Path, pairs: list[list[str | None]], max_positions: int) -> Batch:
    """Tokens, segments and lengths as the fairseq tasks lay them out."""
    encode = TextPipeline(results / "bpe" / "codes").encode
    dictionary = load_dictionary(str(results / "bin" / "dict.txt"))
    ids = [
        [
            None if t is None else np.array([dictionary.index(w) for w in encode(t).split()])
            for t in p
        ]
        for p in pairs
    ]
    return collate_pairs([(a, b) for a, b in ids], dictionary, max_positions)


def final_states(model: Trained, batch: Batch, rows: torch.Tensor) -> torch.Tensor:
    tokens, segments = (torch.from_numpy(batch[key]) for key in ("tokens", "segments"))
    with torch.no_grad():
        return model.encoder().encode(tokens, segments, rows)


def test_folder_has_the_promised_files(results: Path) -> None:
    folder = results / "export" / "grown"
    assert {path.name for path in folder.iterdir() if path.is_file()} == set(file_names())
    for name in TASKS:
        assert {path.name for path in (folder / name).iterdir()} == set(file_names())


def test_copied_code_needs_few_packages_and_only_files_beside_it() -> None:
    files = bundle()
    assert {"modeling_stackbert.py", "tokenization_stackbert.py", "model.py"} <= files.keys()
    for name, text in files.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                modules = {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = {str(node.module).partition(".")[0]}
            elif isinstance(node, ast.ImportFrom):
                beside = [node.module] if node.module else [alias.name for alias in node.names]
                assert {f"{module}.py" for module in beside} <= files.keys(), name
                continue
            else:
                continue
            assert modules <= NEEDS | sys.stdlib_module_names, name


def test_copied_code_is_the_packages_own() -> None:
    assert all(Path(path).is_file() for path in sources())
    copied = ast.parse(bundle()["model.py"])
    original = ast.parse(Path(sys.modules["stackbert.model"].__file__ or "").read_text())
    definitions = {n.name: ast.dump(n) for n in original.body if isinstance(n, ast.ClassDef)}
    found = {n.name: ast.dump(n) for n in copied.body if isinstance(n, ast.ClassDef)}
    assert found == definitions


def test_ids_and_segments_are_those_of_training(results: Path, loaded: Batch) -> None:
    for seen, longest in ((loaded, 40), (loaded["tasks"]["STS-B"], 32)):
        batch = ours(results, loaded["pairs"], longest)
        assert seen["tokens"]["input_ids"] == batch["tokens"].tolist()
        assert seen["tokens"]["token_type_ids"] == batch["segments"].tolist()
        real = np.arange(batch["tokens"].shape[1]) < batch["lengths"][:, None]
        assert seen["tokens"]["attention_mask"] == real.astype(int).tolist()
    assert batch["lengths"].max() == 32  # something was truncated


def test_masked_logits_are_ours(results: Path, loaded: Batch) -> None:
    model = load(results / "pretrain" / "grown" / "L2" / "checkpoint.pt")
    batch = ours(results, loaded["pairs"], 40)
    states = final_states(model, batch, torch.arange(batch["tokens"].size))
    logits = model.encoder().mlm_logits(states)
    for key in ("logits", "logits_of_ids_alone", "logits_after_saving"):
        given = torch.tensor(loaded[key]).flatten(0, 1)
        torch.testing.assert_close(given, logits, atol=1e-4, rtol=0)
    given = torch.tensor(loaded["states"]).flatten(0, 1)
    torch.testing.assert_close(given, states, atol=1e-4, rtol=0)
    targets = torch.from_numpy(batch["tokens"]).flatten()
    assert loaded["loss"] == pytest.approx(
        torch.nn.functional.cross_entropy(logits, targets).item(), abs=1e-4
    )


@pytest.mark.parametrize("name", TASKS)
def test_task_logits_are_ours(results: Path, loaded: Batch, name: str) -> None:
    # seed 2 has the better score
    model = load(results / "glue" / "grown" / name / "seed2" / "model.pt", fine_tuned=True)
    batch = ours(results, loaded["pairs"], 32)
    b, n = batch["tokens"].shape
    with torch.no_grad():
        logits = model.classifier()(final_states(model, batch, torch.arange(b) * n))
    given = torch.tensor(loaded["tasks"][name]["logits"])
    torch.testing.assert_close(given, logits, atol=1e-4, rtol=0)
    expected = {"STS-B": ["score"], "MRPC": ["1"]}.get(name, list(task(name).labels))
    assert loaded["tasks"][name]["labels"] == expected


def test_fill_mask_pipeline(results: Path, loaded: Batch) -> None:
    assert len(loaded["one"]) == 5 and loaded["one"][0]["score"] >= loaded["one"][1]["score"]
    assert [len(block) for block in loaded["fill"]] == [3, 3]
    encode = TextPipeline(results / "bpe" / "codes").encode
    words = f"<cls> {encode('The')} <mask> {encode('of France,')} <mask> {encode('!')} </s>"
    dictionary = load_dictionary(str(results / "bin" / "dict.txt"))
    tokens = torch.tensor([[dictionary.index(word) for word in words.split()]])
    encoder = load(results / "pretrain" / "grown" / "L2" / "checkpoint.pt").encoder()
    rows = (tokens[0] == dictionary.index("<mask>")).nonzero().squeeze(1)
    logits = encoder.mlm_logits(encoder.encode(tokens, torch.ones_like(tokens), rows))
    best = logits.softmax(1).topk(3)
    for block, ids, shares in zip(loaded["fill"], best.indices, best.values, strict=True):
        assert [row["token"] for row in block] == ids.tolist()
        assert [row["score"] for row in block] == pytest.approx(shares.tolist(), abs=1e-5)


def test_a_new_classifier_starts_at_zero(loaded: Batch) -> None:
    assert loaded["fresh_classifier"] == 0


def test_examples_of_the_cards_run(loaded: Batch) -> None:
    assert "token_str" in loaded["example"]
    assert loaded["tasks"]["MNLI"]["example"].strip() in task("MNLI").labels
    assert all("tensor" in loaded["tasks"][name]["example"] for name in ("STS-B", "MRPC"))


def test_card_is_filled_from_the_run(results: Path) -> None:
    folder = results / "export" / "grown"
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: fill-mask" in card and "recipe grown" in card
    assert "grown 1 -> 2 layers" in card and "**5.812 nats**" in card and "1,234,567 words" in card
    assert "| 2 | 6 | 0.001 -> 0.0001 | 2 | stack |" in card
    assert "| STS-B | pearson | 2 | 0.1500 | 0.1000 | 0.2000 |" in card and "0.0150" not in card
    assert "CC BY-SA 4.0" in card and "gensim==4.4.0" in card and "## Limits" in card
    fine_tuned = (folder / "STS-B" / "README.md").read_text(encoding="utf-8")
    assert "fine-tuned on STS-B (seed 2)" in fine_tuned
    assert "pipeline_tag: text-classification" in fine_tuned


def test_config_names_the_shape(results: Path) -> None:
    config = json.loads((results / "export" / "grown" / "MNLI" / "config.json").read_text())
    assert config["num_hidden_layers"] == 2 and config["hidden_size"] == 16
    assert config["max_position_embeddings"] == 32 and config["intermediate_size"] == 24
    assert config["id2label"] == {"0": "contradiction", "1": "neutral", "2": "entailment"}
