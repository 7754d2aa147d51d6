"""The packed layout against the padded one as reference, and dropout."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stackbert.dropout import dropout
from stackbert.model import Encoder, Layout, ModelConfig
from stackbert.pairs import query_slots
from stackbert_fairseq.model import StackBert
from stackbert_fairseq.pretrain_criterion import PretrainCriterion
from stackbert_fairseq.pretrain_dataset import NextSentenceDataset
from tests.plugin.test_masking import dataset, dictionary  # noqa: F401


def padded(net_input: dict[str, Any], padding: int) -> dict[str, Tensor]:
    """The same sequences in rows of equal length."""
    lengths = torch.tensor(net_input["lengths"])
    sequence = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    place = sequence * lengths.max() + net_input["positions"]
    grid = {}
    for key, fill in (("tokens", padding), ("segments", 0)):
        flat = torch.full((len(lengths) * int(lengths.max()),), fill)
        flat[place] = net_input[key]
        grid[key] = flat.view(len(lengths), -1)
    return grid | {"rows": place[net_input["slots"][net_input["rows"]]]}


def build_model(words: int, rate: float = 0.0) -> StackBert:
    torch.manual_seed(0)
    shape = ModelConfig(3, 32, 2, 64, words, 40, dropout=rate, attention_dropout=rate)
    return StackBert(Encoder(shape))


def loss_and_gradients(model: StackBert, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss per masked token and the gradients of every parameter."""
    model.zero_grad()
    loss, size, _ = PretrainCriterion(SimpleNamespace())(model, batch)
    (loss / size).backward()
    return loss / size, {name: p.grad for name, p in model.named_parameters()}


def test_packed_loss_and_gradients_are_the_padded_ones(
    dataset: NextSentenceDataset,  # noqa: F811
) -> None:
    model = build_model(len(dataset.dictionary))
    dataset.set_epoch(1)
    batch = dataset.collater([dataset[i] for i in range(32)])
    assert len(set(batch["net_input"]["lengths"])) > 5
    reference = batch | {"net_input": padded(batch["net_input"], dataset.dictionary.pad())}
    loss, gradients = loss_and_gradients(model, batch)
    expected, expected_gradients = loss_and_gradients(model, reference)
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-5)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected_gradients[name], rtol=0, atol=1e-5, msg=name)


def test_order_within_a_batch_is_no_difference(dataset: NextSentenceDataset) -> None:  # noqa: F811
    model = build_model(len(dataset.dictionary)).eval()
    dataset.set_epoch(1)
    net_input = dataset.collater([dataset[i] for i in range(8)])["net_input"]
    starts = net_input["slots"][net_input["rows"][:8]]
    lengths = net_input["lengths"]
    del net_input["slots"], net_input["widths"]
    ends = [sum(lengths[: i + 1]) for i in range(8)]
    order = torch.cat([torch.arange(*span) for span in list(zip(starts, ends, strict=True))[::-1]])
    turned = {key: net_input[key][order] for key in ("tokens", "segments", "positions")}
    turned |= {"lengths": lengths[::-1], "rows": torch.arange(len(order))}
    states = model(**net_input | {"rows": torch.arange(len(order))})
    torch.testing.assert_close(model(**turned), states[order])


def test_attention_with_dropout_is_that_without_on_average(
    dataset: NextSentenceDataset,  # noqa: F811
) -> None:
    """One attention over padded sequences, its dropout drawn many times."""
    attention = build_model(len(dataset.dictionary), 0.2).encoder.layers[0].attention
    qkv = torch.randn(2 * 6, 96)
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])[:, None, None, :]
    expected = attention.eval().mix(Layout([(2, 6)], mask), qkv)
    attention.train()
    drawn = torch.stack([attention.mix(Layout([(2, 6)], mask), qkv) for _ in range(4000)])
    assert drawn.std(0).min() > 0
    torch.testing.assert_close(drawn.mean(0), expected, rtol=0, atol=0.05)


def test_slots_hold_what_is_asked_for_and_as_many_in_sequences_of_a_length() -> None:
    lengths = np.array([3, 3, 5, 7, 7, 7])
    starts = lengths.cumsum() - lengths
    asked = np.concatenate([starts, [1, 2, 7, 13, 14, 15, 26]])  # first positions, then others
    slots, rows, widths = query_slots(lengths, asked)
    assert widths.tolist() == [3, 2, 4]
    assert slots[rows].tolist() == asked.tolist() and len(set(rows.tolist())) == len(asked)
    width = np.array([3, 3, 2, 4, 4, 4])
    assert len(slots) == width.sum()
    owner = np.searchsorted(starts, slots, side="right") - 1
    assert owner.tolist() == np.repeat(np.arange(6), width).tolist()


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout(rate: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(301, 333, requires_grad=True)
    dropped = dropout(x, rate, True)
    share = (dropped == 0).double().mean().item()
    assert abs(share - rate) < 4 * (rate * (1 - rate) / x.numel()) ** 0.5
    kept = dropped[dropped != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - rate)), rtol=1e-4, atol=0)
    dropped.sum().backward()
    assert torch.equal(x.grad, dropped)
    other = dropout(x, rate, True)
    torch.manual_seed(0)
    assert torch.equal(dropout(x, rate, True), dropped) and not torch.equal(other, dropped)
    assert dropout(x, rate, False) is x and dropout(x, 0.0, True) is x
