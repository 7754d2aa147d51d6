"""Figures of the report: loss curves, time to loss, GLUE with its spread, time per rule."""

from collections.abc import Mapping, Sequence
from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

from stackbert.report.losses import Curves, boundaries, median_final_loss
from stackbert.report.resources import duration
from stackbert.report.style import PALETTE, colours, dashes, markers, new_figure, save_svg

UNITS = (("h", 3600.0), ("min", 60.0), ("s", 1.0))
Arms = Mapping[str, Sequence[str]]  # recipes by arm
LOSS = "validation MLM loss (nats per masked token)"


def loss_figure(curves: Curves, arms: Arms, control: str, axis: str, path: str) -> None:
    """Loss against `axis` (seconds or tokens); dotted where a stage begins and at the target.

    `arms` are the recipes by what they are compared as: one line and one colour for a recipe, one
    colour for all seeds of an arm. `control` is the arm whose median final loss is the target.
    With more arms than colours names and final losses stand in a legend, the lowest last, and a
    ring on the line is where a stage begins.
    """
    crowded = len(arms) > len(PALETTE)
    figure, axes = new_figure(11.0, 6.5) if crowded else new_figure()
    colour = {name: c for arm, c in colours(list(arms)).items() for name in arms[arm]}
    marker = {name: m for arm, m in markers(list(arms)).items() for name in arms[arm]}
    line = {name: d for arm, d in dashes(list(arms)).items() for name in arms[arm]}
    axes.set_ylabel(LOSS)
    if axis == "tokens":
        axes.set_xlabel("training tokens")
        axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    else:
        unit = _time_axis(axes, max(curve["seconds"].max() for curve in curves.values()))
        axes.set_xlabel(f"training time ({unit}), growing included")
    for recipe, curve in curves.items():
        shown = curve.dropna(subset=["valid_mlm_loss"])
        axes.plot(
            shown[axis],
            shown["valid_mlm_loss"],
            color=colour[recipe],
            linestyle=line[recipe],
            marker=None if crowded else marker[recipe],
            markersize=4,
            markevery=max(1, len(shown) // 15),
            linewidth=2 if len(arms) == len(curves) else 1.2,
        )
    _limits(axes, curves)
    target = median_final_loss(curves, arms[control])
    axes.axhline(target, color="black", linewidth=1, linestyle=":")
    axes.annotate(
        f"{control}'s final loss {target:.2f}",
        (1, target),
        xycoords=("axes fraction", "data"),
        xytext=(-4, -4),  # at the left all curves pass
        textcoords="offset points",
        ha="right",
        va="top",
        bbox={"color": "white", "alpha": 0.8, "pad": 1},
    )
    if crowded:
        _ring_stages(axes, curves, axis, colour)
        _list_arms(axes, curves, arms, colour, line)
    else:
        first = {names[0]: curves[names[0]] for names in arms.values()}
        _mark_stages(axes, first, axis, colour)
        _label_lines(axes, curves, arms, axis, colour)
    save_svg(figure, path)


def _time_axis(axes: Axes, longest: float) -> str:
    """Let the x axis, in seconds, count in a unit that suits its longest time; the unit's name."""
    unit, size = next((unit, size) for unit, size in UNITS if longest >= 3 * size or size == 1)
    # Ticks at round numbers of the unit, not of seconds.
    axes.xaxis.set_major_locator(_ScaledLocator(size))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / size:g}")
    return unit


class _ScaledLocator(MaxNLocator):
    """Round tick positions in multiples of `size`."""

    def __init__(self, size: float) -> None:
        super().__init__(nbins=8, steps=[1, 2, 2.5, 5, 10])
        self.size = size

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        places = super().tick_values(vmin / self.size, vmax / self.size)
        return [place * self.size for place in places]


def _limits(axes: Axes, curves: Curves) -> None:
    """Cut off the steep fall of the first updates, which would flatten all the rest."""
    losses = pd.concat([curve["valid_mlm_loss"] for curve in curves.values()]).dropna()
    low, high = losses.min(), losses.quantile(0.97)
    room = 0.06 * max(high - low, 0.1)
    axes.set_ylim(low - 2 * room, max(high, low) + 2 * room)


def _mark_stages(axes: Axes, curves: Curves, axis: str, colour: dict[str, str]) -> None:
    """A vertical line where a deeper stage begins, labelled with its depth."""
    for number, (recipe, curve) in enumerate(curves.items()):
        for boundary in boundaries(curve):
            x = getattr(boundary, axis)
            axes.axvline(x, color=colour[recipe], linewidth=1.2, linestyle=(0, (4, 3)), alpha=0.8)
            axes.annotate(
                f"{boundary.layers} layers",
                (x, 1),
                xycoords=("data", "axes fraction"),
                xytext=(4, -4 - 14 * number),
                textcoords="offset points",
                va="top",
                color=colour[recipe],
            )


def _ring_stages(axes: Axes, curves: Curves, axis: str, colour: dict[str, str]) -> None:
    """A ring where a line goes on with a deeper model."""
    for recipe, curve in curves.items():
        shown = curve.dropna(subset=["valid_mlm_loss"])
        begins = shown[shown["stage"] != shown["stage"].shift().fillna(shown["stage"].iloc[0])]
        style = {"facecolors": "white", "edgecolors": colour[recipe], "zorder": 3}
        axes.scatter(begins[axis], begins["valid_mlm_loss"], s=26, **style)


def _list_arms(
    axes: Axes, curves: Curves, arms: Arms, colour: dict[str, str], line: dict[str, str]
) -> None:
    """A legend beside the figure, by median final loss, so that it reads as the lines end."""
    ends = {arm: median_final_loss(curves, recipes) for arm, recipes in arms.items()}
    order = sorted(ends, key=ends.__getitem__, reverse=True)
    looks = [(colour[arms[arm][0]], line[arms[arm][0]]) for arm in order]
    lines = [Line2D([], [], color=paint, linestyle=dash, linewidth=2) for paint, dash in looks]
    names = [f"{arm} ({ends[arm]:.2f})" for arm in order]
    axes.legend(lines, names, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)


def _label_lines(axes: Axes, curves: Curves, arms: Arms, axis: str, colour: dict[str, str]) -> None:
    """The arm's name beside its last point, in place of a legend; labels keep apart."""
    low, high = axes.get_ylim()
    gap = 0.06 * (high - low)
    previous = float("-inf")
    ends = {arm: median_final_loss(curves, recipes) for arm, recipes in arms.items()}
    for arm, end in sorted(ends.items(), key=lambda item: item[1]):
        recipe = arms[arm][0]
        y = max(end, previous + gap)
        previous = y
        axes.annotate(
            f"{arm} ({end:.2f})",
            (max(curves[name][axis].iloc[-1] for name in arms[arm]), y),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            color=colour[recipe],
            fontweight="bold",
            annotation_clip=False,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )


def time_to_loss_figure(table: pd.DataFrame, path: str) -> None:
    """Bars of the seconds each recipe took to the control's final loss; `table` as written."""
    recipes = list(table["recipe"])
    figure, axes = new_figure(height=1.4 + 0.7 * len(recipes))
    seconds = pd.to_numeric(table["seconds"], errors="coerce")
    axes.barh(recipes, seconds.fillna(0), color=list(colours(recipes).values()), height=0.6)
    for place, (value, speedup) in enumerate(zip(seconds, table["speedup"], strict=True)):
        text = "never reached" if pd.isna(value) else f"{duration(value)}   {float(speedup):.2f} x"
        axes.annotate(
            text,
            (0 if pd.isna(value) else value, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
        )
    unit = _finish_bars(axes, float(seconds.max()))
    target = table["target_loss"].iloc[0]
    axes.set_xlabel(f"training time to a validation MLM loss of {target} ({unit})")
    save_svg(figure, path)


def glue_figure(table: pd.DataFrame, recipes: Sequence[str], path: str) -> None:
    """Median over seeds as a mark, smallest to largest as a line; one row per task and metric."""
    rows = list(dict.fromkeys(zip(table["task"], table["metric"], strict=True)))
    figure, axes = new_figure(height=1.6 + 0.55 * len(rows) * max(1, len(recipes) / 2))
    colour, marker = colours(recipes), markers(recipes)
    for number, recipe in enumerate(recipes):
        part = table[table["recipe"] == recipe].set_index(["task", "metric"])
        shift = (number - (len(recipes) - 1) / 2) * 0.6 / max(len(recipes), 1)
        shown = [
            (place + shift, part.loc[row]) for place, row in enumerate(rows) if row in part.index
        ]
        for y, score in shown:
            axes.plot(
                [score["min"], score["max"]], [y, y], color=colour[recipe], linewidth=3, alpha=0.45
            )
            axes.plot(score["median"], y, color=colour[recipe], marker=marker[recipe], markersize=8)
            axes.annotate(
                f"{score['median']:.3f}  {recipe}",
                (score["max"], y),
                xytext=(9, 0),
                textcoords="offset points",
                va="center",
                color=colour[recipe],
            )
    axes.set_yticks(range(len(rows)), [f"{task}\n{fill(metric, 24)}" for task, metric in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.margins(x=0.3)
    axes.set_xlabel("score on the development set (median; line: smallest to largest of the seeds)")
    save_svg(figure, path)


def corpus_figure(table: pd.DataFrame, path: str) -> None:
    """Bars of what became of the lines read: dropped by which rule, duplicate, kept for what.

    `table` is the corpus table: step, counter, value.
    """
    lines = table[table["step"].isin(["clean", "split"])].copy()
    lines["value"] = pd.to_numeric(lines["value"])
    left_out = lines["counter"].isin(["documents", "lines_read", "lines_joined", "lines_kept"])
    lines = lines[~left_out]
    figure, axes = new_figure(height=1.2 + 0.42 * len(lines))
    kept = lines["counter"].isin(["train", "valid"])
    colour = kept.map({True: "#555555", False: "#bbbbbb"})
    axes.barh(lines["counter"].str.replace("_", " "), lines["value"], color=colour, height=0.65)
    for place, value in enumerate(lines["value"]):
        axes.annotate(
            f"{value:,.0f}", (value, place), (5, 0), textcoords="offset points", va="center"
        )
    axes.margins(x=0.2)
    axes.set_xlim(left=0)
    axes.grid(False, axis="y")
    axes.invert_yaxis()
    axes.set_xlabel("paragraphs of text (dark: kept, light: dropped)")
    save_svg(figure, path)


def rule_time_figure(table: pd.DataFrame, path: str) -> None:
    """Bars of the seconds that all jobs of a rule took together; `table` from `rule_times`."""
    figure, axes = new_figure(height=1.2 + 0.38 * len(table))
    axes.barh(table["rule"], table["seconds"], color="#666666", height=0.65)
    for place, (seconds, jobs) in enumerate(zip(table["seconds"], table["jobs"], strict=True)):
        axes.annotate(
            f"{duration(seconds)} in {jobs} job{'s' if jobs > 1 else ''}",
            (seconds, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
        )
    unit = _finish_bars(axes, float(table["seconds"].max()))
    axes.set_xlabel(f"wall-clock time of all jobs of the rule ({unit})")
    save_svg(figure, path)


def _finish_bars(axes: Axes, longest: float) -> str:
    """Lay out bars of seconds, the first on top, with room for their labels; the unit's name."""
    axes.margins(x=0.3)
    axes.set_xlim(left=0)
    axes.grid(False, axis="y")
    axes.invert_yaxis()
    return _time_axis(axes, longest)
