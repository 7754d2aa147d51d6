"""GLUE's metrics, from scikit-learn and scipy, with stated values where they are undefined."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from stackbert.errors import UserError

UNDEFINED = 0.0  # of a correlation with something constant: no relation was shown


def score(
    metrics: Sequence[str], predictions: Sequence[str], labels: Sequence[str], positive: str = "1"
) -> dict[str, float]:
    """Each metric of `predictions` against `labels`, both as text as in the task's files.

    Matthews, Pearson and Spearman are 0 if one side is constant; F1 is that of the class
    `positive`, and 0 if that class is neither predicted nor there.
    """
    return {name: _score(name, predictions, labels, positive) for name in metrics}


def _score(name: str, predictions: Sequence[str], labels: Sequence[str], positive: str) -> float:
    if name == "accuracy":
        return float(accuracy_score(labels, predictions))
    if name == "matthews":
        return float(matthews_corrcoef(labels, predictions))
    if name == "f1":
        return float(f1_score(labels, predictions, pos_label=positive, zero_division=0.0))
    if name in ("pearson", "spearman"):
        return _correlation(name, _numbers(predictions), _numbers(labels))
    raise ValueError(f"no metric {name}")


def _numbers(values: Sequence[str]) -> NDArray[np.float64]:
    numbers = np.array([float(value) for value in values])
    if not np.isfinite(numbers).all():
        raise UserError(
            "a prediction is not a finite number, so fine-tuning diverged; lower glue.learning_rate"
        )
    return numbers


def _correlation(name: str, a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return UNDEFINED
    statistic = stats.pearsonr if name == "pearson" else stats.spearmanr
    return float(statistic(a, b).statistic)
