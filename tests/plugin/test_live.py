"""What TensorBoard reads is what the curves say, one stage after the other."""

from pathlib import Path

import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from stackbert.pretrain import train_stage
from tests.plugin.test_train import CONFIG, STAGE, data  # noqa: F401


@pytest.mark.parametrize("before", [0, 70])
def test_points_are_those_of_the_curve(data: Path, tmp_path: Path, before: int) -> None:  # noqa: F811
    shown = tmp_path / "tensorboard" / "recipe" / "L1"
    train_stage(
        CONFIG,
        STAGE,
        str(data),
        None,
        str(tmp_path / "checkpoint.pt"),
        str(tmp_path / "log"),
        "test",
        tensorboard=str(shown),
        updates_before=before,
    )
    curve = pd.read_csv(tmp_path / "curve.tsv", sep="\t")
    events = EventAccumulator(str(shown)).Reload()
    losses = events.Scalars("MLM loss/validation")
    assert [event.step for event in losses] == [before + update for update in curve["update"]]
    assert [event.value for event in losses] == pytest.approx(list(curve["valid_mlm_loss"]))
    rates = [event.value for event in events.Scalars("training/learning rate")]
    assert len(rates) == len(curve) and rates[0] > rates[-1] > 0
