"""The unigram loss against its definition, on data binarized by fairseq."""

import json
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from stackbert.text.unigram import write_unigram


def test_unigram_loss_is_the_cross_entropy_of_frequencies(tmp_path: Path) -> None:
    train, valid = "a a a b b c\n\na b", "a c c\n\nb z"  # z is unknown
    (tmp_path / "train").write_text(train + "\n")
    (tmp_path / "valid").write_text(valid + "\n")
    command = [sys.executable, "-m", "fairseq_cli.preprocess", "--only-source"]
    files = ["--trainpref", str(tmp_path / "train"), "--validpref", str(tmp_path / "valid")]
    folder = tmp_path / "bin"
    subprocess.run(
        [*command, *files, "--destdir", str(folder), "--padding-factor", "1"],
        check=True,
        capture_output=True,
    )
    write_unigram(folder, tmp_path / "unigram.json")
    found = json.loads((tmp_path / "unigram.json").read_text())["unigram_loss"]
    counts = Counter(train.split())
    total = sum(counts.values()) + len(counts)
    known = [word for word in valid.split() if word in counts]
    expected = -sum(math.log((counts[word] + 1) / total) for word in known) / len(known)
    assert found == pytest.approx(expected, abs=1e-4)
