"""`python -m stackbert predict|fill-mask`: use what a run has trained."""

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import IO

from stackbert.errors import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 1 with one line for what a user can mend."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (UserError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stackbert", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--results", default="results", help="folder of the run (%(default)s)")
    common.add_argument("--recipe", help="recipe of the model (the first one of the config)")

    predict = commands.add_parser(
        "predict",
        parents=[common],
        help="answer a task's question for each line",
        description="Print one answer for each line: a label, or a score. The two texts of a pair "
        "are parted by a tab.",
    )
    predict.add_argument("--task", required=True, help="name in the task table, such as STS-B")
    predict.add_argument("--seed", type=int, help="seed of the run (that with the best dev score)")
    predict.add_argument("file", nargs="?", default="-", help="file of lines (standard input)")
    predict.set_defaults(command=_predict)

    fill = commands.add_parser(
        "fill-mask",
        parents=[common],
        help="guess the words that <mask> stands for",
        description="Print the likeliest words for each <mask> of a text: probability, tab, word. "
        "Several <mask> give several blocks, parted by an empty line.",
    )
    fill.add_argument("text", help='such as "the capital of france is <mask> ."')
    fill.add_argument("--top", type=_positive, default=5, help="words to print (%(default)s)")
    fill.set_defaults(command=_fill_mask)
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _predict(options: argparse.Namespace) -> None:
    from stackbert.glue.tasks import table, task

    if options.task not in table():
        raise UserError(f"--task {options.task}: no such task, choose from {', '.join(table())}")
    this = task(options.task)
    if this.predicted_by:
        raise UserError(
            f"--task {this.name}: the model of {this.predicted_by} answers this: "
            f"--task {this.predicted_by}"
        )
    if this.loss == "majority":
        raise UserError(
            f"--task {this.name}: no model is trained, every answer is the training set's most "
            "frequent label; choose another task"
        )
    _check_folder(options.results)
    with _lines(options.file) as lines:
        from stackbert.predict import BATCH, Predictor  # torch takes seconds

        predictor = Predictor(this, options.results, options.recipe, options.seed)
        # at a terminal each line is answered as it is typed
        _print(predictor.answers(lines, 1 if lines.isatty() else BATCH))


def _fill_mask(options: argparse.Namespace) -> None:
    _check_folder(options.results)
    from stackbert.predict import MaskFiller

    blocks = MaskFiller(options.results, options.recipe).fill(options.text, options.top)
    texts = ["\n".join(f"{share:.4f}\t{word}" for word, share in block) for block in blocks]
    _print(["\n\n".join(texts)])


def _check_folder(results: str) -> None:
    if not Path(results).is_dir():
        raise UserError(
            f"the results folder {results} is missing: run `make run` first, or give another "
            "folder with --results"
        )


def _lines(path: str) -> IO[bytes] | nullcontext[IO[bytes]]:
    if path == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return open(path, "rb")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; give a file of lines to answer") from None


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)
