"""Batches: layout, order of symmetric pairs, padding, truncation."""

from pathlib import Path

import numpy as np
import torch
from fairseq.data import data_utils
from glue_helpers import WORDS

from stackbert.glue import tasks
from stackbert_fairseq.glue_dataset import GlueDataset
from stackbert_fairseq.pairs import load_dictionary


def dataset(dictionary: Path, name: str, texts: list[tuple[str, str]], **options) -> GlueDataset:
    label = "3.0" if name == "STS-B" else tasks.task(name).labels[-1]
    rows = [
        {"index": str(i), "first": a, "second": b, "label": label} for i, (a, b) in enumerate(texts)
    ]
    options = {"max_positions": 16, "batch": 2} | options
    return GlueDataset(rows, tasks.task(name), load_dictionary(str(dictionary)), **options)


def test_layout_of_single_sentences_and_pairs(dictionary: Path) -> None:
    single = dataset(dictionary, "SST-2", [("w0 w1", "")]).collater([0])
    assert single["net_input"]["tokens"].tolist() == [[0, 4, 5, 2]]
    assert single["net_input"]["segments"].tolist() == [[1, 1, 1, 1]]
    assert single["target"].tolist() == [1]
    pair = dataset(dictionary, "RTE", [("w0", "w1"), ("w0 w1 unknown", "w2")]).collater([0, 1])
    assert pair["net_input"]["tokens"].tolist() == [[0, 4, 2, 5, 2, 1, 1], [0, 4, 5, 3, 2, 6, 2]]
    assert pair["net_input"]["segments"].tolist() == [[1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0, 0]]
    assert pair["net_input"]["rows"].tolist() == [0, 7]


def test_regression_target_is_scaled(dictionary: Path) -> None:
    batch = dataset(dictionary, "STS-B", [("w0", "w1")]).collater([0])
    assert batch["target"].tolist() == [0.0]  # (3 - 3) / 2


def test_longest_first_truncation(dictionary: Path) -> None:
    long, short = " ".join(WORDS[:10]), "w20 w21"
    data = dataset(dictionary, "RTE", [(long, short)], max_positions=10)
    tokens = data.collater([0])["net_input"]["tokens"]
    assert tokens.tolist() == [[0, 4, 5, 6, 7, 8, 2, 24, 25, 2]]
    assert data.size(0) == 10


def test_symmetric_order_is_drawn_in_training_and_both_evaluated(dictionary: Path) -> None:
    texts = [("w0", "w1")] * 400
    training = dataset(dictionary, "STS-B", texts, seed=1)
    first = training.swap.copy()
    assert 0.4 < first.mean() < 0.6
    training.set_epoch(2)
    assert (training.swap != first).any()
    training.set_epoch(1)
    assert (training.swap == first).all()
    swapped = int(np.flatnonzero(first)[0])
    assert training.collater([swapped])["net_input"]["tokens"].tolist() == [[0, 5, 2, 4, 2]]
    evaluation = dataset(dictionary, "STS-B", texts).collater([0])
    assert evaluation["net_input"]["tokens"].tolist() == [[0, 4, 2, 5, 2]]
    assert evaluation["swapped"]["tokens"].tolist() == [[0, 5, 2, 4, 2]]
    assert "swapped" not in dataset(dictionary, "RTE", texts, seed=1).collater([0])
    assert not dataset(dictionary, "RTE", texts, seed=1).swap.any()


def test_batches_have_little_padding_and_change_between_epochs(dictionary: Path) -> None:
    rng = np.random.default_rng(0)
    texts = [(" ".join(WORDS[: rng.integers(1, 40)]), "") for _ in range(3000)]
    data = dataset(dictionary, "SST-2", texts, max_positions=64, batch=16, seed=1)
    orders = []
    for epoch in (1, 2):
        with data_utils.numpy_seed(epoch):
            orders.append(data.ordered_indices())
    assert sorted(orders[0]) == list(range(3000))
    assert (orders[0] != orders[1]).any()
    real = filled = 0
    for start in range(0, 3000, 16):
        batch = data.collater(list(orders[0][start : start + 16]))
        real += batch["ntokens"]
        filled += batch["net_input"]["tokens"].numel()
    assert 1 - real / filled < 0.05


def test_a_test_set_has_no_target(dictionary: Path) -> None:
    rows = [{"index": "0", "first": "w0", "second": "w1", "label": ""}]
    task = tasks.task("RTE")
    data = GlueDataset(rows, task, load_dictionary(str(dictionary)), 16, 2, subset="RTE.test")
    batch = data.collater([0])
    assert "target" not in batch and batch["subset"] == "RTE.test"
    assert isinstance(batch["net_input"]["tokens"], torch.Tensor)


def test_empty_text_is_just_the_special_symbols(dictionary: Path) -> None:
    tokens = dataset(dictionary, "RTE", [("", "w0")]).collater([0])["net_input"]["tokens"]
    assert tokens.tolist() == [[0, 2, 4, 2]]
