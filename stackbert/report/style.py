"""One look for every figure: a colour per recipe, axes with units, files the same bit for bit."""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stackbert.errors import write_atomic

# Okabe and Ito's palette, told apart with every common colour blindness; black is left for targets.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("solid", "dashed", "dotted")
SETTINGS: Any = {
    "svg.hashsalt": "stackbert",  # without it every file gets other random ids
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "figure.constrained_layout.use": True,
}


def colours(recipes: Sequence[str]) -> dict[str, str]:
    """The colour of each recipe, by its place in the configuration."""
    return {recipe: PALETTE[i % len(PALETTE)] for i, recipe in enumerate(recipes)}


def markers(recipes: Sequence[str]) -> dict[str, str]:
    """The marker of each recipe: a second sign beside the colour."""
    return {recipe: MARKERS[i % len(MARKERS)] for i, recipe in enumerate(recipes)}


def dashes(recipes: Sequence[str]) -> dict[str, str]:
    """The line of each recipe: another one whenever the colours are used up."""
    return {recipe: DASHES[i // len(PALETTE) % len(DASHES)] for i, recipe in enumerate(recipes)}


def new_figure(width: float = 8.0, height: float = 4.8) -> tuple[Figure, Axes]:
    """An empty figure in the house look; sizes in inches."""
    with plt.rc_context(SETTINGS):
        return plt.subplots(figsize=(width, height))


def save_svg(figure: Figure, path: str) -> None:
    """Write a figure as SVG without date or random ids, whole or not at all."""
    buffer = io.BytesIO()
    with plt.rc_context(SETTINGS):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    plt.close(figure)
    write_atomic(path, buffer.getvalue())
