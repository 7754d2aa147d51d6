"""One contender of throughput.py, in a process of its own: prints a line of JSON and ends.

    python benchmarks/peers.py ours|fairseq|transformers|bare SETTINGS

SETTINGS is the JSON that throughput.py writes. All contenders are given the same sentence pairs in
the same batches in the same order, and the same number of updates to warm up and to be measured.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from stackbert.fairseq_cli import PLUGIN  # noqa: E402
from stackbert.model import Encoder, ModelConfig  # noqa: E402
from stackbert.pairs import pack_pairs, query_slots  # noqa: E402
from stackbert.pretrain import _arguments  # noqa: E402

Settings = dict[str, Any]


class Window:
    """Counts seconds and tokens from the end of the warm-up to the end of the last update.

    What lies between two updates (waiting for data, logging) is inside. The device is waited for
    at both ends only.
    """

    def __init__(self, settings: Settings) -> None:
        self.warmup, self.updates = settings["warmup"], settings["updates"]
        self.launched, self.cuda = settings["launched"], settings["device"] == "cuda"
        self.done = self.text = self.computed = self.squares = self.asked = 0
        self.waited = 0.0

    def wait(self, fetch: Callable[[], Any]) -> Any:
        """Fetch a batch, counting the seconds."""
        started = time.perf_counter()
        batch = fetch()
        self.waited += time.perf_counter() - started
        return batch

    def end(self, lengths: Any, computed: int, asked: int) -> None:
        """An update on sequences of these `lengths` ended, which computed and asked for so many."""
        self.done += 1
        if self.done == self.warmup:
            self._synchronize()
            self.ready = time.time() - self.launched
            self.waited, self.started = 0.0, time.perf_counter()
        if self.done <= self.warmup:
            return
        lengths = np.asarray(lengths)
        self.text += int(lengths.sum())
        self.squares += int((lengths**2).sum())
        self.computed += computed
        self.asked += asked
        if self.done == self.warmup + self.updates:
            self._synchronize()
            self._report(time.perf_counter() - self.started)

    def _synchronize(self) -> None:
        if self.cuda:
            torch.cuda.synchronize()

    def _report(self, seconds: float) -> None:
        """Print and end the process, whatever would follow."""
        result = {
            "tokens_per_s": self.text / seconds,
            "padding_share": 1 - self.text / self.computed,
            "data_wait_share": self.waited / seconds,
            # start-up and warm-up without what these updates take in steady state
            "startup_s": self.ready - seconds * self.warmup / self.updates,
            "tokens_per_update": self.text / self.updates,
            "mean_span": self.squares / self.text,  # positions that a token looks at
            "asked_share": self.asked / self.text,
        }
        if self.cuda:
            result["memory_gib"] = torch.cuda.max_memory_reserved() / 2**30
        print(json.dumps(result), flush=True)
        os._exit(0)


def watch_fairseq(window: Window) -> None:
    """Have fairseq's trainer report every update, its iterator every wait for data."""
    from fairseq.data.iterators import GroupedIterator
    from fairseq.trainer import Trainer

    step, fetch = Trainer.train_step, GroupedIterator.__next__

    def train_step(self: Any, samples: Any, *arguments: Any) -> Any:
        log = step(self, samples, *arguments)
        lengths: list[int] = []
        computed = asked = 0
        for sample in samples:
            inputs = sample["net_input"]
            if "lengths" in inputs:
                lengths += inputs["lengths"]
                computed += inputs["tokens"].numel()
                asked += len(inputs["rows"])
            else:
                lengths += inputs["src_lengths"].tolist()
                computed += inputs["src_tokens"].numel()
        window.end(lengths, computed, asked)
        return log

    Trainer.train_step = train_step
    GroupedIterator.__next__ = lambda self: window.wait(lambda: fetch(self))


def ours(settings: Settings, window: Window) -> None:
    """The plug-in with the arguments of the pipeline."""
    from stackbert_fairseq import train

    watch_fairseq(window)
    sys.argv = ["train", *our_arguments(settings)]
    train.main()


def our_arguments(settings: Settings) -> list[str]:
    """What the pipeline gives fairseq-train; the stage is longer than what is measured."""
    stage = {"layers": settings["layers"], "updates": 10**6, "lr": [[0, 1e-4], [10**6, 1e-4]]}
    config = settings["config"] | {"device": settings["device"]}
    return _arguments(config, stage | {"seed": 1}, settings["data"], settings["work"])


def pretraining(settings: Settings) -> tuple[Any, Any]:
    """fairseq's configuration and our task with its training data."""
    from fairseq import options, tasks, utils
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    arguments = our_arguments(settings)
    utils.import_user_module(argparse.Namespace(user_dir=str(PLUGIN)))
    parser = options.get_training_parser()
    config = convert_namespace_to_omegaconf(options.parse_args_and_arch(parser, arguments))
    task = tasks.setup_task(config.task)
    task.load_dataset("train")
    return config, task


def all_batches(settings: Settings) -> list[dict[str, Any]]:
    """The very batches that `ours` trains on, as many as are needed, before the clock runs."""
    config, task = pretraining(settings)
    epochs = task.get_batch_iterator(
        task.dataset("train"),
        max_tokens=config.dataset.max_tokens,
        required_batch_size_multiple=1,
        seed=config.common.seed,
    )
    made: list[dict[str, Any]] = []
    needed = settings["warmup"] + settings["updates"]
    while len(made) < needed:
        made += islice(epochs.next_epoch_itr(shuffle=True), needed - len(made))
    return made


def write_pairs(settings: Settings) -> None:
    """The pairs of the first epoch as binarized text, one pair a line, for fairseq's masked_lm."""
    from fairseq.data import indexed_dataset

    _, task = pretraining(settings)
    dataset, folder = task.dataset("train"), Path(settings["pairs"])
    shutil.copyfile(Path(settings["data"]) / "dict.txt", folder / "dict.txt")
    train = str(folder / "train")
    builder = indexed_dataset.make_builder(f"{train}.bin", "mmap", len(task.dictionary))
    for item in map(dataset.__getitem__, range(len(dataset))):
        pair = pack_pairs([(item["a"], item["b"])], task.dictionary, dataset.max_positions)
        builder.add_item(torch.from_numpy(pair["tokens"][1:]))  # masked_lm puts <s> before it
    builder.finalize(f"{train}.idx")


def stock(settings: Settings, window: Window) -> None:
    """fairseq's own roberta, Adam and masked_lm task on the same pairs."""
    import fairseq_cli.train

    np.compat = SimpleNamespace(long=np.int64)  # what its task asks of numpy, gone since numpy 2
    watch_fairseq(window)
    model, pretrain = settings["config"]["model"], settings["config"]["pretrain"]
    options = {
        "--task": "masked_lm",
        "--criterion": "masked_lm",
        "--arch": "roberta",
        "--encoder-layers": settings["layers"],
        "--encoder-embed-dim": model["width"],
        "--encoder-ffn-embed-dim": model["feed_forward"],
        "--encoder-attention-heads": model["heads"],
        "--dropout": model["dropout"],
        "--attention-dropout": model["attention_dropout"],
        "--tokens-per-sample": pretrain["max_positions"],
        "--sample-break-mode": "eos",
        "--mask-prob": pretrain["mask_probability"],
        "--max-tokens": pretrain["tokens_per_batch"],
        "--required-batch-size-multiple": 1,
        "--optimizer": "adam",
        "--adam-betas": "(0.9, 0.999)",
        "--adam-eps": pretrain["eps"],
        "--weight-decay": pretrain["weight_decay"],
        "--clip-norm": pretrain["clip_norm"],
        "--lr": 1e-4,
        "--lr-scheduler": "fixed",
        "--max-update": 10**6,
        "--seed": 1,
        "--num-workers": 0,
        "--log-format": "json",
        "--log-interval": pretrain["log_every"],
        "--save-dir": settings["work"],
    }
    sys.argv = ["train", settings["pairs"], *(str(p) for o in options.items() for p in o)]
    sys.argv += ["--disable-validation", "--no-save"]
    sys.argv += ["--bf16"] if in_bf16(settings) else []
    sys.argv += ["--cpu"] if settings["device"] == "cpu" else []
    parse = fairseq_cli.train.options.parse_args_and_arch

    def without_tpu(*arguments: Any, **named: Any) -> argparse.Namespace:
        parsed = parse(*arguments, **named)
        parsed.tpu = False  # which --bf16 sets
        return parsed

    fairseq_cli.train.options.parse_args_and_arch = without_tpu
    fairseq_cli.train.cli_main()


def transformers(settings: Settings, window: Window) -> None:
    """BERT of transformers with its Trainer, on batches padded beforehand."""
    from transformers import BertConfig, BertForMaskedLM, Trainer, TrainerCallback
    from transformers import TrainingArguments as Arguments

    model, pretrain = settings["config"]["model"], settings["config"]["pretrain"]
    made = all_batches(settings)
    given = [padded(batch) for batch in made]

    class Watch(TrainerCallback):
        def on_step_end(self, arguments: Any, state: Any, control: Any, **_: Any) -> None:
            lengths = made[state.global_step - 1]["net_input"]["lengths"]
            window.end(lengths, given[state.global_step - 1]["input_ids"].numel(), 0)

    bert = BertForMaskedLM(
        BertConfig(
            vocab_size=vocabulary(settings),
            hidden_size=model["width"],
            num_hidden_layers=settings["layers"],
            num_attention_heads=model["heads"],
            intermediate_size=model["feed_forward"],
            hidden_dropout_prob=model["dropout"],
            attention_probs_dropout_prob=model["attention_dropout"],
            max_position_embeddings=pretrain["max_positions"],
            attn_implementation="sdpa",
        )
    )
    cuda = settings["device"] == "cuda"
    arguments = Arguments(
        output_dir=settings["work"],
        per_device_train_batch_size=1,
        max_steps=len(given),
        optim="adamw_torch_fused",
        learning_rate=1e-4,
        lr_scheduler_type="constant",
        weight_decay=pretrain["weight_decay"],
        adam_epsilon=pretrain["eps"],
        max_grad_norm=0.0,
        logging_steps=pretrain["log_every"],
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        use_cpu=not cuda,
        bf16=in_bf16(settings),
        torch_compile=cuda,
    )
    Trainer(
        model=bert,
        args=arguments,
        train_dataset=given,
        data_collator=lambda items: dict(items[0]),
        callbacks=[Watch()],
    ).train()


def padded(batch: dict[str, Any]) -> dict[str, torch.Tensor]:
    """A packed batch as transformers' inputs [b, n]; labels are -100 where nothing is asked."""
    inputs, b = batch["net_input"], batch["nsentences"]
    lengths = torch.tensor(inputs["lengths"])
    n = int(lengths.max())
    place = torch.repeat_interleave(torch.arange(b), lengths) * n + inputs["positions"]
    grid = {}
    for key, values in (("input_ids", inputs["tokens"]), ("token_type_ids", inputs["segments"])):
        grid[key] = torch.full((b * n,), 1 if key == "input_ids" else 0).scatter(0, place, values)
    grid["attention_mask"] = torch.zeros(b * n, dtype=torch.long).index_fill(0, place, 1)
    asked = place[inputs["slots"][inputs["rows"][b:]]]
    grid["labels"] = torch.full((b * n,), -100).scatter(0, asked, batch["targets"])
    return {key: values.view(b, n) for key, values in grid.items()}


def in_bf16(settings: Settings) -> bool:
    """Whether products are to be in bf16."""
    return settings["config"]["pretrain"]["precision"] == "bf16"


def vocabulary(settings: Settings) -> int:
    """Symbols of the dictionary, the five special ones included."""
    with open(Path(settings["data"]) / "dict.txt", encoding="utf-8") as file:
        return sum(1 for _ in file) + 5


def bare(settings: Settings, window: Window) -> None:
    """Our encoder in a plain loop on batches made beforehand: the ceiling."""
    device = settings["device"]
    step = training_step(settings, vocabulary(settings))
    for batch in all_batches(settings):
        step(to_device(batch, device))
        inputs = batch["net_input"]
        window.end(inputs["lengths"], len(inputs["tokens"]), len(inputs["rows"]))


def build_encoder(settings: Settings, words: int) -> Encoder:
    """A new encoder of the size asked for."""
    model, pretrain = settings["config"]["model"], settings["config"]["pretrain"]
    torch.manual_seed(1)
    return Encoder(
        ModelConfig(
            layers=settings["layers"],
            width=model["width"],
            heads=model["heads"],
            feed_forward=model["feed_forward"],
            vocab_size=words,
            max_positions=pretrain["max_positions"],
            dropout=model["dropout"],
            attention_dropout=model["attention_dropout"],
        )
    )


def training_step(settings: Settings, words: int) -> Callable[[dict[str, Any]], None]:
    """One update of a new encoder on a batch, as plain PyTorch."""
    encoder = build_encoder(settings, words).to(settings["device"])
    pretrain = settings["config"]["pretrain"]
    optimizer = torch.optim.AdamW(
        encoder.parameters(), 1e-4, eps=pretrain["eps"], weight_decay=0.01, fused=True
    )

    def step(batch: dict[str, Any]) -> None:
        b = batch["nsentences"]
        with torch.autocast(settings["device"], torch.bfloat16, enabled=in_bf16(settings)):
            states = encoder.encode_packed(**batch["net_input"])
            follows, logits = encoder.nsp_logits(states[:b]), encoder.mlm_logits(states[b:])
        follows, logits = follows.float(), logits.float()
        nsp = F.binary_cross_entropy_with_logits(follows, batch["follows"].float())
        (F.cross_entropy(logits, batch["targets"]) + nsp).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def fixed_length_seconds(settings: Settings, words: int) -> float:
    """Seconds per token of a training step on random sequences as long as the model takes."""
    n = settings["config"]["pretrain"]["max_positions"]
    b = settings["config"]["pretrain"]["tokens_per_batch"] // n
    share = settings["config"]["pretrain"]["mask_probability"]
    asked = np.random.default_rng(1).permutation(b * n)[: round(share * b * n)]
    asked = np.concatenate([np.arange(b) * n, asked])
    slots, rows, widths = query_slots(np.full(b, n), asked)
    net_input = {
        "tokens": torch.randint(4, words - 1, (b * n,)),
        "segments": torch.ones(b * n, dtype=torch.long),
        "positions": torch.arange(n).repeat(b),
        "lengths": [n] * b,
        "rows": torch.from_numpy(rows),
        "slots": torch.from_numpy(slots),
        "widths": widths.tolist(),
    }
    targets = torch.randint(4, words - 1, (len(rows) - b,))
    follows = torch.ones(b, dtype=torch.bool)
    batch = {"net_input": net_input, "targets": targets, "follows": follows, "nsentences": b}
    batch, step = to_device(batch, settings["device"]), training_step(settings, words)
    times = []
    for number in range(settings["warmup"] + settings["updates"]):
        started = time.perf_counter()
        step(batch)
        if settings["device"] == "cuda":
            torch.cuda.synchronize()
        times += [time.perf_counter() - started] if number >= settings["warmup"] else []
    return statistics.median(times) / (b * n)


def to_device(batch: dict[str, Any], device: str) -> dict[str, Any]:
    """The batch's tensors on the device."""
    if device == "cpu":
        return batch
    from fairseq.utils import move_to_cuda

    return move_to_cuda(batch)


PEERS = {"ours": ours, "fairseq": stock, "transformers": transformers, "bare": bare}


def main() -> None:
    """Measure the contender that the first argument names."""
    settings = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    PEERS[sys.argv[1]](settings, Window(settings))


if __name__ == "__main__":
    main()
