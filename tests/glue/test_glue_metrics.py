"""Metrics on cases worked out by hand, and where they are undefined."""

import math

import pytest
from scipy import stats
from sklearn import metrics as reference

from stackbert.errors import UserError
from stackbert.glue.metrics import score

ALL = ["accuracy", "matthews", "f1"]


def test_worked_example() -> None:
    labels = ["1", "1", "1", "0", "0", "1"]
    predictions = ["1", "1", "0", "0", "1", "1"]
    # tp 3, fn 1, tn 1, fp 1: accuracy 4/6, F1 6/8, Matthews (3*1 - 1*1) / sqrt(4 * 4 * 2 * 2)
    assert score(ALL, predictions, labels) == pytest.approx(
        {"accuracy": 4 / 6, "f1": 0.75, "matthews": 0.25}
    )


@pytest.mark.parametrize("constant", ["0", "1"])
def test_constant_prediction_gives_no_nan(constant: str, recwarn: pytest.WarningsRecorder) -> None:
    labels = ["0", "1", "1"]
    result = score([*ALL, "pearson", "spearman"], [constant] * 3, labels)
    assert result["matthews"] == result["pearson"] == result["spearman"] == 0.0
    assert all(math.isfinite(value) for value in result.values())
    assert not recwarn.list


def test_agrees_with_the_libraries_on_random_data() -> None:
    labels, predictions = list("0110101101"), list("0101101111")
    numbers = [float(c) + 0.1 * i for i, c in enumerate(predictions)]
    texts = [f"{n:.6f}" for n in numbers]
    result = score(ALL, predictions, labels) | score(["pearson", "spearman"], texts, labels)
    whole = [int(label) for label in labels]
    assert result["f1"] == reference.f1_score(whole, [int(p) for p in predictions])
    assert result["pearson"] == pytest.approx(stats.pearsonr(numbers, whole).statistic)
    assert result["spearman"] == pytest.approx(stats.spearmanr(numbers, whole).statistic)


def test_diverged_predictions_are_refused() -> None:
    with pytest.raises(UserError, match="diverged"):
        score(["pearson"], ["nan", "1"], ["1", "2"])
