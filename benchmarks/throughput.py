"""How many tokens a second pre-training takes, beside its peers on the same data.

    python benchmarks/throughput.py [--layers N] [--width D] [--device cpu|cuda]

Peers: `ours` is the plug-in as the pipeline runs it; `fairseq` its stock roberta, Adam and
masked_lm; `transformers` BertForMaskedLM with its Trainer (requirements-bench.lock); `bare` our
encoder in a plain loop on batches made beforehand. Each run is a process of its own with the same
number of threads and in the same precision (bf16 in the way that each one's makers provide), on the
same sentence pairs of --data in the same batches; runs take turns. Only tokens that carry text
count; start-up and the first updates do not. The figures are medians over the repeats, the ratios
medians of each repeat's own ratio.

The last line is the result as JSON:
  padding_share    computed tokens of ours that carry no text
  data_wait_share  share of the time of ours spent waiting for a batch
  growth_pause_s   what a growth step costs besides updates: growing the checkpoint, the start of
                   the next stage's process, its compilation; seconds
  peak_share       on a GPU, FLOPs per token (stackbert/flops.py, at the mean number of positions
                   that a token looks at and the share of tokens asked for) x tokens/s / 989 TFLOP/s
With --output it is added to a list in a file, with the machine's description. --scaling measures
instead the time per token for 3 to 24 layers and 64 to 512 positions, beside the FLOPs.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import peers  # noqa: E402

from stackbert.checkpoint import save_initial  # noqa: E402
from stackbert.flops import flops_per_token  # noqa: E402
from stackbert.pretrain import grow_stage  # noqa: E402
from stackbert.provenance import git_state, machine  # noqa: E402

PEAK = 989e12  # FLOP/s of an H100 or H200 in bf16, dense
SCALING = [(layers, positions) for layers in (3, 6, 12, 24) for positions in (64, 128, 256, 512)]


def settings(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """What the contenders are told: the default configuration in the size asked for."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    config["model"] |= {
        "width": options.width,
        "heads": max(1, options.width // 64),
        "feed_forward": 4 * options.width,
    }
    config["pretrain"] |= {
        "precision": options.precision,
        "validate_every": 10**6,  # no contender validates
        "max_positions": options.positions,
        "tokens_per_update": options.tokens,
        "tokens_per_batch": options.tokens,
    }
    return {
        "config": {key: config[key] for key in ("model", "pretrain", "seed", "threads")},
        "layers": options.layers,
        "device": options.device,
        "warmup": options.warmup,
        "updates": options.updates,
        "data": str(Path(options.data).resolve()),
        "pairs": str(work / "pairs"),
        "work": str(work),
    }


def measure(peer: str, told: dict[str, Any], threads: int) -> dict[str, float]:
    """Run one contender; its figures."""
    path = Path(told["work"]) / "settings.json"
    path.write_text(json.dumps(told | {"launched": time.time()}), encoding="utf-8")
    command = [sys.executable, str(ROOT / "benchmarks" / "peers.py"), peer, str(path)]
    count = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | count)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        sys.exit(f"{peer} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return json.loads(lines[-1])


def growing_seconds(told: dict[str, Any]) -> float:
    """Seconds to grow a checkpoint of half the layers, reading and writing included."""
    work, layers = Path(told["work"]), told["layers"]
    if layers == 1:  # never grown into
        return 0.0
    half = peers.build_encoder(told | {"layers": (layers + 1) // 2}, peers.vocabulary(told))
    state = {f"encoder.{name}": value for name, value in half.state_dict().items()}
    save_initial(work / "half.pt", state)
    started = time.perf_counter()
    grow = (str(work / "half.pt"), str(work / "grown.pt"), str(work / "growth.json"))
    grow_stage(*grow, (layers + 1) // 2, layers, "identity", 1)
    return time.perf_counter() - started


def compare(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """All contenders in turn, `repeats` times."""
    told = settings(options, work)
    Path(told["pairs"]).mkdir()
    if "fairseq" in options.peers:
        peers.write_pairs(told)
    runs: dict[str, list[dict[str, float]]] = {peer: [] for peer in options.peers}
    for repeat in range(options.repeats):
        for peer, results in runs.items():
            results.append(measure(peer, told, options.threads))
            speed = f"{results[-1]['tokens_per_s']:,.0f} tokens/s"
            print(f"{repeat + 1}/{options.repeats} {peer}: {speed}", file=sys.stderr, flush=True)
    median = {
        peer: {key: statistics.median(run[key] for run in results) for key in results[0]}
        for peer, results in runs.items()
    }
    return summary(options, told, runs, median)


def summary(
    options: argparse.Namespace,
    told: dict[str, Any],
    runs: dict[str, list[dict[str, float]]],
    median: dict[str, dict[str, float]],
) -> dict[str, Any]:
    """The result as the module's docstring describes it."""
    keys = ("layers", "width", "positions", "device", "precision", "threads")
    result: dict[str, Any] = {key: getattr(options, key) for key in keys}
    result |= {peer: round(values["tokens_per_s"]) for peer, values in median.items()}
    ours = median["ours"]
    for peer in options.peers[1:]:
        pairs = zip(runs["ours"], runs[peer], strict=True)
        ratios = [one["tokens_per_s"] / other["tokens_per_s"] for one, other in pairs]
        result[f"ours/{peer}"] = round(statistics.median(ratios), 3)
        result[f"range of ours/{peer}"] = [round(min(ratios), 3), round(max(ratios), 3)]
    result["tokens_per_update"] = round(ours["tokens_per_update"])
    result["padding_share"] = round(ours["padding_share"], 5)
    result["data_wait_share"] = round(ours["data_wait_share"], 5)
    result["growth_pause_s"] = round(growing_seconds(told) + ours["startup_s"], 1)
    if options.device == "cuda":
        model, words = told["config"]["model"], peers.vocabulary(told)
        size = (options.layers, model["width"], model["feed_forward"])
        span, asked = ours["mean_span"], ours["asked_share"]
        flops = flops_per_token(*size, span, words, asked) * ours["tokens_per_s"]
        result["peak_share"] = round(flops / PEAK, 4)
        result["memory_gib"] = {p: round(v["memory_gib"], 1) for p, v in median.items()}
    return result


def scaling(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Microseconds and FLOPs per token by depth and length, in the plain loop."""
    rows = []
    words = peers.vocabulary(settings(options, work))
    for layers, positions in SCALING:
        options.layers, options.positions = layers, positions
        told = settings(options, work)
        seconds = peers.fixed_length_seconds(told, words)
        model = told["config"]["model"]
        share = told["config"]["pretrain"]["mask_probability"]
        size = (layers, model["width"], model["feed_forward"])
        rows.append(
            {
                "layers": layers,
                "positions": positions,
                "us_per_token": round(seconds * 1e6, 2),
                "mflops_per_token": round(
                    flops_per_token(*size, positions, words, share + 1 / positions) / 1e6, 3
                ),
            }
        )
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    keys = ("width", "device", "precision", "threads", "tokens")
    return {key: getattr(options, key) for key in keys} | {"rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    cuda = torch.cuda.is_available()
    parser.add_argument("--layers", type=int, default=12 if cuda else 3)
    parser.add_argument("--width", type=int, default=768 if cuda else 128)
    parser.add_argument("--positions", type=int, default=128, help="most tokens of an example")
    parser.add_argument("--tokens", type=int, default=32768 if cuda else 4096, help="of an update")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if cuda else "cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16"], help="bf16 on a GPU, else fp32")
    parser.add_argument("--data", default="results/bin", help="folder of the binarized text")
    parser.add_argument("--peers", nargs="+", choices=peers.PEERS, default=list(peers.PEERS))
    parser.add_argument("--threads", type=int, default=2, help="of each process")
    parser.add_argument("--warmup", type=int, default=10, help="updates that do not count")
    parser.add_argument("--updates", type=int, default=40, help="updates that count")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scaling", action="store_true", help="the table by depth and length")
    parser.add_argument("--output", help="JSON file that the result is added to")
    options = parser.parse_args()
    if not (Path(options.data) / "dict.txt").is_file():
        parser.error(f"{options.data} has no dict.txt: run `snakemake data` first, or give --data")
    options.precision = options.precision or ("bf16" if options.device == "cuda" else "fp32")
    options.peers = ["ours", *(peer for peer in options.peers if peer != "ours")]
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        result = (scaling if options.scaling else compare)(options, Path(folder))
    if options.output:
        path = Path(options.output)
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        kept.append(result | {"machine": machine(), **git_state()})
        path.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
