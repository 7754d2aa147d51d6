"""`python -m stackbert`: predict and fill-mask on a run, and what they say of wrong input."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from handmade_run import TASKS, make_run

from stackbert.cli import main
from stackbert.glue.tasks import task
from stackbert.pairs import collate_pairs
from stackbert.predict import MaskFiller, Predictor
from stackbert.trained import load, pretrained_checkpoint, task_checkpoint
from stackbert.vocabulary import Vocabulary

ONE = "A truly good film.\nIt is an awful café...\n"
TWO = "A man is playing.\tThe man isn't playing.\nWhere is Paris?\tThe capital, Paris.\n"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run") / "results")


@pytest.fixture
def run(results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run a command on the results with some standard input: (exit code, output, errors)."""

    def command(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        if not any(argument.startswith("--results") for argument in arguments):
            arguments = (*arguments, "--results", str(results))
        code = main(arguments)
        return code, *capsys.readouterr()

    return command


def test_predict_reads_standard_input_or_a_file(run, tmp_path: Path) -> None:
    code, out, _ = run("predict", "--task", "RT", stdin=ONE)
    assert code == 0 and len(out.split()) == 2 and set(out.split()) <= {"0", "1"}
    (tmp_path / "lines").write_text(ONE, encoding="utf-8")
    assert run("predict", "--task", "RT", str(tmp_path / "lines"))[1] == out


def test_predict_answers_as_the_model_does(run, results: Path) -> None:
    code, out, _ = run("predict", "--task", "STS-B", "--seed", "1", stdin=TWO)
    assert code == 0
    model = load(results / "glue/grown/STS-B/seed1/model.pt", fine_tuned=True)
    predictor = Predictor(task("STS-B"), results, seed=1)
    for line, answer in zip(TWO.splitlines(), out.splitlines(), strict=True):
        a, b = (predictor.reader.ids(text) for text in line.split("\t"))
        outputs = []
        for pair in ((a, b), (b, a)):  # the task is symmetric
            vocabulary = Vocabulary(results / "bin" / "dict.txt")
            laid = collate_pairs([pair], vocabulary, 32)
            tokens, segments = (torch.from_numpy(laid[key]) for key in ("tokens", "segments"))
            with torch.no_grad():
                states = model.encoder().encode(tokens, segments, torch.tensor([0]))
                outputs.append(model.classifier()(states).item())
        assert float(answer) == pytest.approx(2 * sum(outputs) / 2 + 3, abs=1e-4)


def test_order_of_a_symmetric_pair_does_not_matter(run) -> None:
    swapped = "".join("\t".join(reversed(line.split("\t"))) + "\n" for line in TWO.splitlines())
    answers = [run("predict", "--task", "STS-B", stdin=text)[1].split() for text in (TWO, swapped)]
    assert [float(x) for x in answers[0]] == pytest.approx([float(x) for x in answers[1]], abs=1e-5)


def test_every_kind_of_task_and_any_number_of_lines(run) -> None:
    for name in TASKS:
        code, out, _ = run("predict", "--task", name, stdin=(TWO if task(name).pair else ONE) * 70)
        assert code == 0 and len(out.splitlines()) == 140
        if task(name).labels:
            assert set(out.split()) <= set(task(name).labels)
    assert run("predict", "--task", "RT", stdin="") == (0, "", "")


def test_default_is_the_first_recipe_and_the_best_seed(results: Path) -> None:
    assert task_checkpoint(results, task("RT")) == results / "glue/grown/RT/seed2/model.pt"
    assert task_checkpoint(results, task("RT"), "another", 1).parts[-4:-1] == (
        "another",
        "RT",
        "seed1",
    )
    assert pretrained_checkpoint(results) == results / "pretrain/grown/L2/checkpoint.pt"
    assert pretrained_checkpoint(results, "another").parts[-3] == "another"


def test_fill_mask_prints_the_likeliest_words(run, results: Path) -> None:
    code, out, _ = run("fill-mask", "The <mask> of France is <mask>.", "--top", "3")
    blocks = [block.splitlines() for block in out.strip().split("\n\n")]
    assert code == 0 and [len(block) for block in blocks] == [3, 3]
    known = set(Vocabulary(results / "bin" / "dict.txt").symbols)
    for block in blocks:
        shares = [float(line.split("\t")[0]) for line in block]
        assert shares == sorted(shares, reverse=True) and 0 < sum(shares) < 1
        assert {line.split("\t")[1] for line in block} <= known
    filled = MaskFiller(results).fill("The <mask> of France is <mask>.", 10_000)
    assert sum(share for _, share in filled[0]) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["predict", "--task", "XYZ"], "", "no such task, choose from CoLA, SST-2"),
        (["predict", "--task", "CoLA"], "a\n", "has no model of CoLA (tasks there: MNLI, MRPC"),
        (["predict", "--task", "AX"], "a\tb\n", "the model of MNLI answers this"),
        (["predict", "--task", "WNLI"], "a\tb\n", "no model is trained"),
        (["predict", "--task", "RT", "--recipe", "no"], "a\n", "no model of RT of the recipe no"),
        (["predict", "--task", "RT", "--seed", "9"], "a\n", "no model of RT with seed 9"),
        (["predict", "--task", "RT", "nowhere.txt"], "", "nowhere.txt: No such file"),
        (["predict", "--task", "RT", "--results", "none"], "a\n", "results folder none is missing"),
        (
            ["predict", "--task", "STS-B"],
            "a\tb\nonly one\n",
            "line 2 of the input: STS-B needs two",
        ),
        (["predict", "--task", "RT"], "a\tb\n", "line 1 of the input: RT needs one text"),
        (["predict", "--task", "STS-B"], "a\t \n", "line 1 of the input"),
        (["fill-mask", "no mask here"], "", "the text has no <mask>"),
        (["fill-mask", f"{'a ' * 60}<mask>"], "", "is cut off: give a shorter text"),
        (["fill-mask", "<mask>", "--recipe", "no"], "", "no pre-trained model of the recipe no"),
        (["fill-mask", "<mask>", "--results", "none"], "", "results folder none is missing"),
    ],
)
def test_what_is_amiss_is_said_in_one_line(
    run, arguments: list[str], stdin: str, message: str
) -> None:
    code, _, errors = run(*arguments, stdin=stdin)
    assert code == 1 and errors.startswith("error: ") and message in errors
    assert errors.count("\n") == 1


def test_half_finished_or_damaged_runs(run, tmp_path: Path) -> None:
    results = make_run(tmp_path / "results")
    options = ("--results", str(results))
    (results / "pretrain/grown/L2").rename(results / "pretrain/grown/L1")
    code, _, errors = run("fill-mask", "<mask>", "--recipe", "grown", *options)
    assert code == 1 and "trained so far: grown/L1" in errors
    model = results / "glue/grown/RT/seed2/model.pt"
    model.write_bytes(model.read_bytes()[:100])
    code, _, errors = run("predict", "--task", "RT", *options, stdin=ONE)
    assert code == 1 and "truncated" in errors and errors.count("\n") == 1
    (results / "bpe" / "codes").unlink()
    code, _, errors = run("predict", "--task", "MNLI", *options, stdin=TWO)
    assert code == 1 and "bpe/codes is missing" in errors


def test_as_a_command(results: Path, root: Path) -> None:
    command = [sys.executable, "-m", "stackbert", "predict", "--task", "MRPC", "--results"]
    done = subprocess.run(
        [*command, str(results)], input=TWO, capture_output=True, text=True, cwd=root
    )
    assert done.returncode == 0 and len(done.stdout.split()) == 2, done.stderr
    wrong = subprocess.run([*command, "none"], input=TWO, capture_output=True, text=True, cwd=root)
    assert wrong.returncode == 1 and wrong.stdout == "" and wrong.stderr.count("\n") == 1
