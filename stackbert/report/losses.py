"""Loss curves: when a recipe reaches the control's final loss, and what each stage cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from stackbert.errors import UserError, write_atomic

NEEDED = ("stage", "layers", "update", "tokens", "seconds", "train_loss", "valid_mlm_loss")
Curves = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Boundary:
    """Where a later stage begins: the end of the stage before, in seconds and in tokens."""

    layers: int
    seconds: float
    tokens: int


def read_curves(recipes: Sequence[str], paths: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Read each recipe's curve.tsv; adds `updates`, which goes on over stages as `tokens` does."""
    curves = {}
    for recipe, path in zip(recipes, paths, strict=True):
        table = pd.read_csv(path, sep="\t")
        missing = [column for column in NEEDED if column not in table]
        if missing or table.empty:
            raise UserError(
                f"{path}: no rows or no column {', '.join(missing) or '-'}; expected a loss curve "
                f"with the columns {' '.join(NEEDED)}: delete the file and run again"
            )
        curves[recipe] = _with_updates(table)
    return curves


def _with_updates(table: pd.DataFrame) -> pd.DataFrame:
    lengths = table.groupby("stage", sort=False)["update"].max()
    done = lengths.cumsum() - lengths
    return table.assign(updates=table["update"] + table["stage"].map(done))


def boundaries(curve: pd.DataFrame) -> list[Boundary]:
    """Where the second and later stages of a curve begin."""
    ends = curve.groupby("stage", sort=False).last()
    layers = ends["layers"].iloc[1:]
    return [
        Boundary(int(depth), float(end["seconds"]), int(end["tokens"]))
        for depth, (_, end) in zip(layers, ends.iloc[:-1].iterrows(), strict=True)
    ]


def final_loss(curve: pd.DataFrame) -> float:
    """Validation loss at the last point of a curve, in nats per masked token."""
    return float(curve["valid_mlm_loss"].dropna().iloc[-1])


def median_final_loss(curves: Curves, recipes: Sequence[str]) -> float:
    """Median over some recipes, such as one arm's seeds, of their final losses."""
    return float(pd.Series([final_loss(curves[recipe]) for recipe in recipes]).median())


def first_reach(curve: pd.DataFrame, target: float) -> pd.Series | None:
    """First validated point at or below `target`; None if there is none.

    No interpolation between points: a recipe has reached a loss once it was measured there.
    """
    reached = curve[curve["valid_mlm_loss"] <= target]
    return None if reached.empty else reached.iloc[0]


def time_to_loss(curves: Curves, control: str) -> pd.DataFrame:
    """Table `recipe target_loss seconds updates tokens speedup`; empty cells where never reached.

    The target is the control's final loss; speedup is the control's seconds over the recipe's.
    """
    target = final_loss(curves[control])
    reference = first_reach(curves[control], target)
    rows = []
    for recipe, curve in curves.items():
        point = first_reach(curve, target)
        row: dict[str, object] = {"recipe": recipe, "target_loss": f"{target:.4f}"}
        if point is not None and reference is not None:
            row |= {
                "seconds": f"{point['seconds']:.1f}",
                "updates": str(int(point["updates"])),
                "tokens": str(int(point["tokens"])),
                "speedup": f"{reference['seconds'] / point['seconds']:.3f}",
            }
        rows.append(row)
    columns = ["recipe", "target_loss", "seconds", "updates", "tokens", "speedup"]
    return pd.DataFrame(rows, columns=columns).fillna("")


def stage_table(curves: Curves) -> pd.DataFrame:
    """What each stage did and cost: its own updates, tokens, seconds, speed and last losses."""
    rows = []
    for recipe, curve in curves.items():
        tokens, seconds = 0, 0.0
        for stage, part in curve.groupby("stage", sort=False):
            end = part.iloc[-1]
            own_tokens, own_seconds = end["tokens"] - tokens, end["seconds"] - seconds
            tokens, seconds = end["tokens"], end["seconds"]
            rows.append(
                {
                    "recipe": recipe,
                    "stage": stage,
                    "layers": int(end["layers"]),
                    "updates": f"{int(end['update']):,}",
                    "tokens": f"{int(own_tokens):,}",
                    "seconds": f"{own_seconds:.1f}",
                    "tokens/s": f"{own_tokens / own_seconds:,.0f}" if own_seconds else "",
                    "train loss": _number(end["train_loss"]),
                    "valid. MLM loss": _number(end["valid_mlm_loss"]),
                }
            )
    return pd.DataFrame(rows)


def growth_table(curves: Curves) -> pd.DataFrame:
    """The validated loss on either side of each growth step."""
    rows = []
    for recipe, curve in curves.items():
        parts = [part for _, part in curve.groupby("stage", sort=False)]
        for before, after in pairwise(parts):
            old, new = before.iloc[-1], after.iloc[0]
            rows.append(
                {
                    "recipe": recipe,
                    "growth": f"{int(old['layers'])} → {int(new['layers'])} layers",
                    "at second": f"{old['seconds']:.1f}",
                    "loss before": _number(old["valid_mlm_loss"]),
                    "loss at the first point after": _number(new["valid_mlm_loss"]),
                    "updates between": f"{int(new['update']):,}",
                }
            )
    columns = ["recipe", "growth", "at second", "loss before", "loss at the first point after"]
    return pd.DataFrame(rows, columns=[*columns, "updates between"])


def write_tsv(table: pd.DataFrame, path: str) -> None:
    """Write a table as tab-separated text, whole or not at all."""
    write_atomic(path, table.to_csv(sep="\t", index=False, lineterminator="\n"))


def _number(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.4f}"
