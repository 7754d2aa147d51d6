"""The corpus benchmark ends with the line that is promised."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

from tests.text.conftest import PARAGRAPHS

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "benchmarks" / "results" / "corpus.json"
STEPS = {"clean", "split", "tokenize", "learn_bpe", "apply_bpe", "binarize", "total"}


def test_last_line(tmp_path: Path) -> None:
    texts = [tmp_path / "one.txt", tmp_path / "two.txt"]
    for number, text in enumerate(texts):
        lines = [f"{number} {turn} {line}" for turn in range(4) for line in PARAGRAPHS]
        text.write_text("\n".join(lines))
    command = [sys.executable, str(ROOT / "benchmarks" / "corpus.py"), "--merges", "50"]
    command += ["--out", str(tmp_path / "out.json"), "--text", *map(str, texts)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert set(result["mb_per_s_per_core"]) == STEPS
    assert all(rate > 0 for rate in result["mb_per_s_per_core"].values())
    for figure in ("scaling_2_cores", "peak_mb", "enwiki_core_hours", "enwiki_disk_gb"):
        assert result[figure] > 0
    kept = json.loads((tmp_path / "out.json").read_text())
    assert kept["machine"] and kept["peak_mb"] == result["peak_mb"]


def test_readme_shows_what_was_measured() -> None:
    spec = importlib.util.spec_from_file_location("corpus_benchmark", ROOT / "benchmarks/corpus.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    result = json.loads(KEPT.read_text(encoding="utf-8"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert module.table(result) in readme
    for figure in ("scaling_2_cores", "peak_growth", "enwiki_core_hours", "enwiki_disk_gb"):
        assert f"{result[figure]}" in readme, figure
    assert str(ROOT.parent) not in KEPT.read_text(encoding="utf-8")
