"""Where time and memory went: Snakemake's benchmark files summed by rule."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from stackbert.errors import UserError


def duration(seconds: float) -> str:
    """Seconds in words that suit their size: `4.2 s`, `3 min 20 s`, `5 h 12 min`, `60 days`."""
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 1000:
        return f"{hours} h {minutes} min"
    return f"{round(hours / 24):,} days"


def rule_times(paths: Sequence[str]) -> pd.DataFrame:
    """Per rule, longest first: jobs, seconds, processor seconds, largest memory of a job (MiB).

    A rule's name is that of the folder its benchmark files lie in.
    """
    rows = [_job(Path(path)) for path in paths]
    if not rows:
        return pd.DataFrame(columns=["rule", "jobs", "seconds", "cpu_seconds", "peak_mib"])
    table = pd.DataFrame(rows).groupby("rule", as_index=False)
    summed = table.agg(
        jobs=("seconds", "size"),
        seconds=("seconds", "sum"),
        cpu_seconds=("cpu", "sum"),
        peak_mib=("rss", "max"),
    )
    return summed.sort_values(["seconds", "rule"], ascending=[False, True], ignore_index=True)


def _job(path: Path) -> dict[str, object]:
    table = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
    if not {"s", "max_rss", "cpu_time"} <= set(table.columns) or table.empty:
        raise UserError(f"{path}: not a benchmark of Snakemake: delete it and run again")
    row = table.iloc[0]
    # A job shorter than the sampling interval has no memory or processor time.
    return {
        "rule": path.parent.name,
        "seconds": row["s"],
        "cpu": row["cpu_time"],
        "rss": row["max_rss"],
    }


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The table of `rule_times` with units, for people."""
    share = table["seconds"] / max(table["seconds"].sum(), 1e-9)
    return pd.DataFrame(
        {
            "rule": table["rule"],
            "jobs": table["jobs"],
            "time of all jobs": table["seconds"].map(duration),
            "share": share.map("{:.1%}".format),
            "processor time": table["cpu_seconds"].map(duration),
            "peak memory of a job": table["peak_mib"].map(
                lambda mib: "" if pd.isna(mib) else f"{mib:,.0f} MiB"
            ),
        }
    )
