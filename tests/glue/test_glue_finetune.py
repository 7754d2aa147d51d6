"""Fine-tuning through the real fairseq-train: it learns what is there and nothing that is not."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from glue_helpers import WORDS, make_checkpoint, marked_rows, write_task
from scipy.stats import pearsonr
from sklearn.metrics import accuracy_score

from stackbert.checkpoint import load_checkpoint, save_initial
from stackbert.errors import UserError
from stackbert.glue import tasks
from stackbert.glue.finetune import _without_classifier
from stackbert.glue.predictions import read_predictions
from stackbert_fairseq.glue_task import GlueTask
from stackbert_fairseq.optim import FusedAdamW

Run = Callable[..., dict[str, Path]]
TRAINED = [name for name in tasks.table() if tasks.trained([name, "MNLI"])[0] == name]
TRAINED = [name for name in TRAINED if tasks.task(name).loss != "majority"]


def scores(outputs: dict[str, Path]) -> dict[str, Any]:
    return json.loads(outputs["scores"].read_text())


def labelled(name: str, count: int, seed: int) -> list[tuple[str, str, str]]:
    """Rows of a task that can be learnt; a score is that of its class."""
    task = tasks.task(name)
    return marked_rows(count, task.labels or ["0.5", "2.0", "4.5"], task.pair, seed)


def shuffled(rows: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    labels = [row[2] for row in rows]
    random.Random(3).shuffle(labels)
    return [(a, b, label) for (a, b, _), label in zip(rows, labels, strict=True)]


def write_with_others(data: Path, name: str, splits: dict[str, Any]) -> None:
    write_task(data, name, splits)
    for other in tasks.predicted(name, [name]):
        write_task(data, other, {"dev": labelled(other, 30, 9)})


@pytest.mark.parametrize("name", TRAINED)
def test_learns_what_a_word_tells(run: Run, tmp_path: Path, name: str) -> None:
    train, dev = labelled(name, 600, 1), labelled(name, 100, 2)
    write_with_others(tmp_path / "data", name, {"train": train, "dev": dev})
    result = scores(run(name))
    assert result["examples"] == 100 and result["train_examples"] == 600
    assert all(value > 0.8 for value in result["metrics"].values()), result["metrics"]


@pytest.mark.parametrize("name", TRAINED)
def test_shuffled_labels_give_chance(run: Run, tmp_path: Path, name: str) -> None:
    # Both sets: with one word that tells, the least slope from chance would correlate perfectly.
    train, dev = shuffled(labelled(name, 600, 1)), shuffled(labelled(name, 400, 2))
    write_with_others(tmp_path / "data", name, {"train": train, "dev": dev})
    outputs = run(name, epochs=1)
    task = tasks.task(name)
    rows = read_predictions(outputs["predictions"])
    predictions, labels = ([row[key] for row in rows] for key in ("prediction", "label"))
    if task.labels:
        # The spread of a chance accuracy over 400 examples is 0.025.
        accuracy = accuracy_score(labels, predictions)
        assert abs(accuracy - 1 / len(task.labels)) < 0.15
    else:
        values, scores_ = [float(p) for p in predictions], [float(t) for t in labels]
        assert abs(pearsonr(values, scores_).statistic) < 0.25


def test_outputs_agree_and_nothing_else_is_left(run: Run, tmp_path: Path) -> None:
    test = [(a, b, "") for a, b, _ in labelled("STS-B", 7, 3)]
    rows = labelled("STS-B", 40, 1)
    write_task(tmp_path / "data", "STS-B", {"train": rows, "dev": rows[:20], "test": test})
    outputs = run("STS-B", epochs=1)
    assert {path.name for path in outputs["scores"].parent.iterdir()} == {
        path.name for path in outputs.values()
    }
    rows_read = read_predictions(outputs["predictions"])
    assert list(rows_read[0]) == ["index", "prediction", "label"]
    assert [row["index"] for row in rows_read] == [str(i) for i in range(20)]
    assert [row["label"] for row in rows_read] == [row[2] for row in rows[:20]]
    values = [float(row["prediction"]) for row in rows_read]
    recomputed = pearsonr(values, [float(row["label"]) for row in rows_read]).statistic
    assert scores(outputs)["metrics"]["pearson"] == pytest.approx(recomputed, abs=1e-12)
    tests = read_predictions(outputs["test"])
    assert list(tests[0]) == ["task", "index", "prediction"] and len(tests) == 7
    state = load_checkpoint(outputs["model"])
    assert "classifier.weight" in state["model"] and "last_optimizer_state" not in state


def test_same_seed_same_bits_and_another_seed_others(run: Run, tmp_path: Path) -> None:
    write_task(
        tmp_path / "data",
        "MRPC",
        {"train": labelled("MRPC", 64, 1), "dev": labelled("MRPC", 20, 2)},
    )
    models = [
        load_checkpoint(run("MRPC", recipe, seed, epochs=1)["model"])["model"]
        for recipe, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert all(torch.equal(models[0][key], models[1][key]) for key in models[0])
    assert any(not torch.equal(models[0][key], models[2][key]) for key in models[0])


def test_evaluation_does_not_depend_on_the_order_of_a_symmetric_pair(
    run: Run, tmp_path: Path
) -> None:
    dev = labelled("STS-B", 30, 2)
    both = dev + [(b, a, label) for a, b, label in dev]
    write_task(tmp_path / "data", "STS-B", {"train": labelled("STS-B", 100, 1), "dev": both})
    rows = read_predictions(run("STS-B", epochs=1)["predictions"])
    values = [float(row["prediction"]) for row in rows]
    assert values[:30] == pytest.approx(values[30:], abs=2e-6)
    assert len({f"{value:.4f}" for value in values}) > 5


def test_mismatched_half_and_diagnostic_set_are_predicted_by_mnli(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_task(data, "MNLI", {"train": labelled("MNLI", 60, 1), "dev": labelled("MNLI", 20, 2)})
    write_task(data, "MNLI-mm", {"dev": labelled("MNLI-mm", 10, 3)})
    write_task(data, "AX", {"test": [(a, b, "") for a, b, _ in labelled("AX", 5, 4)]})
    outputs = run("MNLI", tasks=["MNLI", "AX"], epochs=1)
    result = scores(outputs)
    assert result["examples"] == 20
    assert result["others"]["MNLI-mm"]["examples"] == 10
    assert 0 <= result["others"]["MNLI-mm"]["metrics"]["accuracy"] <= 1
    tests = read_predictions(outputs["test"])
    assert [row["task"] for row in tests] == ["AX"] * 5
    assert {row["prediction"] for row in tests} <= set(tasks.task("AX").labels)


def test_test_sets_are_left_alone_unless_asked_for(run: Run, tmp_path: Path) -> None:
    rows = labelled("RTE", 32, 1)
    write_task(tmp_path / "data", "RTE", {"train": rows, "dev": rows, "test": rows})
    assert read_predictions(run("RTE", epochs=1, test=False)["test"]) == []


def test_majority_class_needs_no_training(run: Run, tmp_path: Path) -> None:
    rows = [("w1", "w2", label) for label in "1101"]
    write_task(
        tmp_path / "data", "WNLI", {"train": rows, "dev": rows[1:], "test": [("a", "b", "")]}
    )
    outputs = run("WNLI")
    assert scores(outputs)["metrics"] == {"accuracy": pytest.approx(2 / 3)}
    assert [row["prediction"] for row in read_predictions(outputs["test"])] == ["1"]


def test_long_and_empty_texts_are_taken_and_counted(run: Run, tmp_path: Path) -> None:
    rows = [*labelled("RTE", 30, 1), (" ".join(WORDS), "w1", "entailment"), ("", "", "entailment")]
    write_task(tmp_path / "data", "RTE", {"train": rows, "dev": rows})
    result = scores(run("RTE", epochs=1))
    assert result["truncated"] == 1 and result["examples"] == 32


def test_no_training_or_dev_examples_is_refused(run: Run, tmp_path: Path) -> None:
    rows = labelled("RTE", 4, 1)
    write_task(tmp_path / "data", "RTE", {"dev": rows})
    with pytest.raises(UserError, match="RTE has no training examples"):
        run("RTE")
    write_task(tmp_path / "data", "RTE", {"train": rows})
    with pytest.raises(UserError, match="RTE has no dev examples"):
        run("RTE")
    assert not list(tmp_path.glob("r/RTE/seed1/*"))


def test_best_epoch_is_kept_with_its_predictions(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = labelled("SST-2", 64, 1)
    write_task(tmp_path / "data", "SST-2", {"train": rows, "dev": rows, "test": rows[:3]})
    seen = []
    method = GlueTask.post_validate

    def worse_every_epoch(self: GlueTask, model: Any, stats: dict[str, Any], agg: Any) -> None:
        stats["score"] = -len(seen)
        method(self, model, stats, agg)
        if self.subset == "SST-2.dev":
            seen.append((Path(self.cfg.predictions) / "SST-2.dev.tsv").read_text())

    monkeypatch.setattr(GlueTask, "post_validate", worse_every_epoch)
    outputs = run("SST-2", "best", keep="best", epochs=3)
    assert len(seen) == 3 and outputs["predictions"].read_text() == seen[0]
    assert scores(outputs)["kept"] == "best"
    seen.clear()
    assert run("SST-2", "last", epochs=3)["predictions"].exists() and len(seen) == 1


def test_warm_up_and_linear_decay_to_zero(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = []
    step = FusedAdamW.step
    monkeypatch.setattr(
        FusedAdamW,
        "step",
        lambda self, *args, **kw: (rates.append(self.get_lr()), step(self, *args, **kw))[1],
    )
    rows = labelled("CoLA", 160, 1)  # 10 updates of 16 per epoch
    write_task(tmp_path / "data", "CoLA", {"train": rows, "dev": rows})
    run("CoLA", epochs=2, learning_rate=1.0)
    # 2 of 20 updates warm up, 18 decay; the last one's rate is one step above zero.
    assert rates == pytest.approx([0.0, 0.5, *(1 - i / 18 for i in range(18))])


def test_classifier_of_the_checkpoint_is_not_used(tmp_path: Path, dictionary: Path) -> None:
    model = {"layers": 1, "width": 32, "heads": 2, "feed_forward": 64}
    path = make_checkpoint(tmp_path / "c.pt", dictionary, model)
    state = load_checkpoint(path)["model"]
    save_initial(path, state | {"classifier.weight": torch.ones(3, 32)})
    assert _without_classifier(str(path)).keys() == state.keys()
