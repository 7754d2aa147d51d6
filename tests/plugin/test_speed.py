"""Precision, compilation, activation checkpointing, workers: the numbers stay what they were."""

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fairseq import options, tasks, utils
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from torch._dynamo.testing import CompileCounter

from stackbert import pretrain
from stackbert.errors import UserError
from stackbert.fairseq_cli import PLUGIN
from stackbert_fairseq.optim import FusedAdamW, FusedAdamWConfig
from stackbert_fairseq.pretrain_dataset import NextSentenceDataset
from tests.plugin.test_masking import dataset, dictionary  # noqa: F401
from tests.plugin.test_packing import build_model, loss_and_gradients
from tests.plugin.test_train import CONFIG, STAGE, data  # noqa: F401


@pytest.fixture
def batch(dataset: NextSentenceDataset) -> dict[str, Any]:  # noqa: F811
    dataset.set_epoch(1)
    return dataset.collater([dataset[i] for i in range(32)])


def test_bf16_autocast_is_close_and_keeps_the_weights(batch: dict[str, Any]) -> None:
    model = build_model(1005)
    expected, _ = loss_and_gradients(model, batch)
    model.bf16_autocast = True
    loss, gradients = loss_and_gradients(model, batch)
    assert loss != expected and loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=0.01)
    assert all(gradient.dtype == torch.float32 for gradient in gradients.values())


def test_activation_checkpointing_changes_nothing(batch: dict[str, Any]) -> None:
    model = build_model(1005, rate=0.1)
    results = []
    for again in (False, True):
        model.encoder.activation_checkpointing = again
        torch.manual_seed(5)
        results.append(loss_and_gradients(model, batch))
    (loss, gradients), (other, others) = results
    assert torch.equal(loss, other)
    for name, gradient in gradients.items():
        assert torch.equal(gradient, others[name]), name


def test_layers_share_compiled_code_and_keep_their_names(batch: dict[str, Any]) -> None:
    """Six layers need no more compilations than three: one for each part, with rows or without."""
    counts = []
    for copies in (1, 2):
        torch.compiler.reset()
        counter = CompileCounter()
        model = build_model(1005)
        names = set(model.state_dict())
        layers = [*model.encoder.layers, *build_model(1005).encoder.layers][: 3 * copies]
        model.encoder.layers = torch.nn.ModuleList(layers)
        for layer in layers:
            layer.project = torch.compile(layer.project, dynamic=True, backend=counter)
            layer.finish = torch.compile(layer.finish, dynamic=True, backend=counter)
        loss_and_gradients(model, batch)
        counts.append(counter.frame_count)
        assert names <= set(model.state_dict())
    assert counts[0] == counts[1] <= 3


@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="needs a C++ compiler")
def test_compiled_layers_give_the_same_loss_and_gradients(batch: dict[str, Any]) -> None:
    torch.compiler.reset()
    model = build_model(1005)
    expected, expected_gradients = loss_and_gradients(model, batch)
    for layer in model.encoder.layers:
        layer.compile_parts()
    loss, gradients = loss_and_gradients(model, batch)
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-5)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected_gradients[name], rtol=0, atol=1e-5, msg=name)


def arguments(cuda: bool, monkeypatch: pytest.MonkeyPatch, **keys: Any) -> list[str]:
    monkeypatch.setattr(pretrain, "has_cuda", lambda device: cuda)
    monkeypatch.setattr(pretrain, "best_precision", lambda: "bf16")
    return pretrain.speed_arguments(CONFIG | {"pretrain": CONFIG["pretrain"] | keys})


def test_defaults_are_chosen_by_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert arguments(False, monkeypatch) == ["--num-workers", "0"]
    on_gpu = ["--bf16-autocast", "--compile-layers", "--num-workers", "2"]
    assert arguments(True, monkeypatch) == on_gpu
    off = {"precision": "fp32", "compile": False}
    assert arguments(True, monkeypatch, **off) == ["--num-workers", "2"]
    assert "--amp" in arguments(True, monkeypatch, precision="fp16")
    assert "--activation-checkpointing" in arguments(
        False, monkeypatch, activation_checkpointing=True
    )
    with pytest.raises(UserError, match=r"pretrain\.precision is fp16, which needs a GPU"):
        arguments(False, monkeypatch, precision="fp16")


def test_a_stage_with_every_option_trains(data: Path, tmp_path: Path) -> None:  # noqa: F811
    if not any(map(shutil.which, ("g++", "clang++"))):
        pytest.skip("needs a C++ compiler")
    keys = {"precision": "bf16", "compile": True, "activation_checkpointing": True}
    config = CONFIG | {"pretrain": CONFIG["pretrain"] | keys | {"clip_norm": 1.0}}
    stage = STAGE | {"updates": 10, "lr": [[0, 1e-3], [10, 1e-3]]}
    output = tmp_path / "checkpoint.pt"
    pretrain.train_stage(config, stage, str(data), None, str(output), str(tmp_path / "log"), "t")
    names = pretrain.load_checkpoint(output)["model"]
    assert "encoder.layers.0.attention.qkv.weight" in names
    assert not [name for name in names if "_orig_mod" in name]


def test_batches_do_not_depend_on_workers(data: Path, tmp_path: Path) -> None:  # noqa: F811
    utils.import_user_module(argparse.Namespace(user_dir=str(PLUGIN)))
    given = pretrain._arguments(CONFIG, STAGE, str(data), str(tmp_path))
    config = convert_namespace_to_omegaconf(
        options.parse_args_and_arch(options.get_training_parser(), given)
    )
    seen = []
    for workers in (0, 2):
        task = tasks.setup_task(config.task)
        task.load_dataset("train")
        parts = []
        for epoch in (1, 2):
            iterator = task.get_batch_iterator(
                task.dataset("train"), max_tokens=512, seed=1, num_workers=workers, epoch=epoch
            )
            for batch in iterator.next_epoch_itr(shuffle=True):
                parts += [batch["id"], batch["net_input"]["tokens"], batch["targets"]]
        seen.append(torch.cat(parts))
    assert torch.equal(*seen)


def test_clipping_between_two_fetches_of_the_norm() -> None:
    weight = torch.nn.Parameter(torch.zeros(4))
    optimizer = FusedAdamW(FusedAdamWConfig(lr=[1e-3], amp=False, norm_every=3), [weight])
    norms = []
    for gradient in (3.0, 4.0, 5.0, np.nan, 6.0, 7.0, 8.0):
        weight.grad = torch.full((4,), gradient)
        norms.append(optimizer.clip_grad_norm(2.0).item())
        if gradient == gradient:
            assert weight.grad.norm().item() == pytest.approx(2.0, rel=1e-4)
    assert norms == [6.0, 6.0, 6.0, 6.0, 6.0, 6.0, 16.0]
