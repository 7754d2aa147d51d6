"""Task text goes the corpus' way; the commands do what the pipeline does."""

import subprocess
import sys
from pathlib import Path

import pytest
from sacremoses import MosesTokenizer

from stackbert.text.bpe import WordTable
from stackbert.text.clean import clean_line
from stackbert.text.learn_bpe import learn
from stackbert.text.pipeline import TextPipeline

RAW = [
    "It\u2019s  «great»,, they say.... ",
    "*Stars* and back\\slash <mask>",
    "",
    "caf\xe9 \u2013 5,300 km",
]

RAW_WORDS = ["they", "say", "it", "is", "great", "great", "stars", "and", "back", "slash"]


@pytest.fixture(scope="module")
def codes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("codes")
    with WordTable(folder / "words") as table:
        table.add(RAW_WORDS)
    learn([folder / "words"], folder / "codes", 8)
    return folder / "codes"


def test_encode(codes: Path) -> None:
    encoded = [TextPipeline(codes).encode(line).replace("@@ ", "") for line in RAW]
    assert encoded == [
        'it \'s " great , " they say ...',
        "stars * and back slash < mask >",
        "",
        "café - 5,300 km",
    ]


def test_encode_takes_bytes_and_segments_on_request(codes: Path) -> None:
    assert TextPipeline(codes).encode(b"great\xff") == TextPipeline(codes).encode("great")
    encoded = TextPipeline(codes, "sentencex").encode("It is St. Paul. Great.")
    assert encoded.replace("@@ ", "") == "it is st. paul . great ."


def test_unknown_characters_do_no_harm(codes: Path) -> None:
    pieces = TextPipeline(codes).encode("日本語 and ✓").split()
    assert all(piece and not piece.isspace() for piece in pieces)


def command(step: str, data: bytes) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "stackbert.text", step],
        input=data,
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    return done.stdout.decode().split("\n")


def test_commands(codes: Path) -> None:
    data = "".join(line + "\n" for line in RAW).encode() + b"last \xff one\xe2\x80\xa8without end"
    cleaned = [clean_line(line) for line in [*RAW, "last one\u2028without end"]]
    assert command("clean", data) == [*cleaned, ""]
    moses = MosesTokenizer(lang="en")
    tokens = [moses.tokenize(line, escape=False, return_str=True).lower() for line in cleaned]
    assert command("tokenize", data) == [*tokens, ""]


def test_command_refuses_another_step() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        command("guess", b"")
