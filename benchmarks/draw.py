"""Draws docs/performance.svg; prints the tables of docs/performance.md and docs/growth.md.

Nothing is measured here: all comes from the results that are kept.

    python benchmarks/draw.py
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from stackbert.report.style import colours, markers, new_figure, save_svg  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
PEERS = ("ours", "fairseq", "transformers", "bare")


def read(name: str) -> list[dict[str, Any]]:
    """A kept list of results."""
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def throughput_table(runs: list[dict[str, Any]]) -> str:
    """Tokens/s of each contender and our ratios."""
    ratios = [f"ours/{peer}" for peer in PEERS[1:]]
    head = ["layers x width", *PEERS, *ratios]
    rows = [
        [f"{run['layers']} x {run['width']}"]
        + [f"{run[peer]:,}" for peer in PEERS]
        + [f"{run[ratio]:.2f}" for ratio in ratios]
        for run in sorted(runs, key=lambda run: (run["width"], run["layers"]))
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def scaling_table(rows: list[dict[str, Any]]) -> str:
    """Microseconds and MFLOP per token, a row for each depth and a column for each length."""
    lengths = sorted({row["positions"] for row in rows})
    head = ["layers", *(f"{n} positions" for n in lengths)]
    lines = [head, ["---"] * len(head)]
    for depth in sorted({row["layers"] for row in rows}):
        cells = {row["positions"]: row for row in rows if row["layers"] == depth}
        shown = [
            f"{cells[n]['us_per_token']:.0f} / {cells[n]['mflops_per_token']:.1f}" for n in lengths
        ]
        lines.append([str(depth), *shown])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def scaling_figure(rows: list[dict[str, Any]], path: str) -> None:
    """Time per token against FLOPs per token, a line for each length."""
    figure, axes = new_figure()
    lengths = sorted({row["positions"] for row in rows})
    names = [f"{n} positions" for n in lengths]
    colour, marker = colours(names), markers(names)
    for n, name in zip(lengths, names, strict=True):
        some = sorted((r for r in rows if r["positions"] == n), key=lambda row: row["layers"])
        x = [row["mflops_per_token"] for row in some]
        y = [row["us_per_token"] for row in some]
        axes.plot(x, y, color=colour[name], marker=marker[name], label=name)
    axes.set_xlabel("MFLOP per token (3, 6, 12 and 24 layers)")
    axes.set_ylabel("microseconds per token")
    axes.legend()
    save_svg(figure, path)


def growth_table(lab: dict[str, Any]) -> str:
    """Where each arm of the growth lab ends, and its way to the control's loss; median (range)."""
    columns = {
        "final loss": ("final_loss", "{:.3f}"),
        "training loss": ("train_loss", "{:.3f}"),
        "seconds": ("seconds", "{:.0f}"),
        "TFLOP": ("flops", "{:.1f}"),
        "seconds to the control's loss": ("to_seconds", "{:.0f}"),
        "gain": ("to_seconds_gain", "{:.2f}"),
        "gain, full depth": ("deep_seconds_gain", "{:.2f}"),
        "gain in FLOPs, full depth": ("deep_flops_gain", "{:.2f}"),
    }
    lines = [["arm", *columns], ["---"] * (len(columns) + 1)]
    for arm, seeds in lab["arms"].items():
        row = [f"`{arm}`"]
        for key, shape in columns.values():
            values = [run[key] for run in seeds.values() if run[key] is not None]
            if key == "flops":
                values = [value / 1e12 for value in values]
            if 2 * len(values) <= len(seeds):
                row.append("never" if not values else f"never in {len(seeds) - len(values)}")
                continue
            middle, low, high = (
                shape.format(value)
                for value in (statistics.median(values), min(values), max(values))
            )
            row.append(middle if low == high else f"{middle} ({low} to {high})")
        lines.append(row)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    for path in sorted(RESULTS.glob("throughput_*.json")):
        print(f"{path.stem}\n\n{throughput_table(read(path.name))}\n")
    rows = read("scaling_cpu.json")[-1]["rows"]
    print(scaling_table(rows))
    scaling_figure(rows, str(ROOT / "docs" / "performance.svg"))
    for path in sorted(RESULTS.glob("growth_lab*.json")):
        print(f"\n{path.stem}\n\n{growth_table(json.loads(path.read_text(encoding='utf-8')))}")


if __name__ == "__main__":
    main()
