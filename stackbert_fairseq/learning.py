"""Learns the mix of layers by which a model grows (LiGO, ICLR 2023), on the stage's own batches."""

import itertools
import logging
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from fairseq import options, tasks, utils
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from torch import Tensor, nn
from torch.func import functional_call

import stackbert_fairseq  # noqa: F401  registers the task
from stackbert.errors import UserError
from stackbert.growth import copying_mix, depth, mix

# Adam's rate: a coefficient moves by about this much in an update, 40 updates at most by 0.4 from
# the 0 or 1 that it begins with.
RATE = 0.01


class _Loss(nn.Module):
    """The stage's loss as a function of the model's parameters."""

    def __init__(self, model: nn.Module, criterion: nn.Module) -> None:
        super().__init__()
        self.model, self.criterion = model, criterion

    def forward(self, sample: dict[str, Any]) -> tuple[Tensor, int, dict[str, Any]]:
        return self.criterion(self.model, sample)


def learn_mix(
    state: dict[str, Tensor], arguments: Sequence[str], updates: int, threads: int
) -> dict[str, Tensor]:
    """Weights of the deep model, each layer's parameters the learnt mix of the shallow `state`.

    `arguments` are those with which fairseq-train would train the deep model. The coefficients, one
    per new layer, old layer and parameter, begin as in stacking and are trained for `updates`
    updates; the weights that they mix stay. Raises UserError if the loss is no number.
    """
    logging.getLogger("fairseq").setLevel(logging.WARNING)
    torch.set_num_threads(threads)
    parser = options.get_training_parser()
    parsed = options.parse_args_and_arch(parser, list(arguments))
    with warnings.catch_warnings(action="ignore"):  # Hydra's, about how fairseq uses it
        cfg = convert_namespace_to_omegaconf(parsed)
    utils.set_torch_seed(cfg.common.seed)
    task = tasks.setup_task(cfg.task)
    loss = _Loss(task.build_model(cfg.model), task.build_criterion(cfg.criterion))
    device = "cpu" if cfg.common.cpu else "cuda"
    loss.to(device).train()
    state = {name: tensor.to(device) for name, tensor in state.items()}
    coefficients = {
        name: table.to(device).requires_grad_()
        for name, table in copying_mix(state, depth(state), cfg.model.layers).items()
    }
    adam = torch.optim.Adam(list(coefficients.values()), lr=RATE)
    for number, samples in enumerate(_updates(task, cfg, updates), start=1):
        adam.zero_grad()
        total, masked = 0.0, 0
        for sample in samples:
            sample = utils.move_to_cuda(sample) if device == "cuda" else sample
            weights = {f"model.{name}": tensor for name, tensor in mix(state, coefficients).items()}
            value, size, _ = functional_call(loss, weights, (sample,))
            value.backward()
            total, masked = total + float(value.detach()), masked + size
        if not total < float("inf"):
            raise UserError(f"the loss is no number at update {number} of learning how to grow")
        for table in coefficients.values():
            table.grad /= masked
        adam.step()
        said = f"learning to grow: update {number}/{updates}, loss {total / masked:.3f}"
        print(said, file=sys.stderr, flush=True)
    with torch.no_grad():
        grown = mix(state, coefficients)
    return {name: tensor.detach().cpu().clone() for name, tensor in grown.items()}


def _updates(task: Any, cfg: Any, updates: int) -> Any:
    """Lists of batches, one list per update, in the order in which the stage will meet them."""
    task.load_dataset("train")
    batches = task.get_batch_iterator(
        dataset=task.dataset("train"),
        max_tokens=cfg.dataset.max_tokens,
        required_batch_size_multiple=cfg.dataset.required_batch_size_multiple,
        seed=cfg.common.seed,
    )
    stream = itertools.chain.from_iterable(
        batches.next_epoch_itr(shuffle=True) for _ in itertools.count()
    )
    for _ in range(updates):
        yield list(itertools.islice(stream, cfg.optimization.update_freq[0]))
