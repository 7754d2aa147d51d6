"""fairseq's own task trains on what the pipeline binarized."""

import subprocess
import sys
from pathlib import Path

from tests.text.test_shards import corpus

# Without a buffer: the thread that fills it may be inside torch when Python ends, which aborts.
COMMAND = """--task masked_lm --criterion masked_lm --arch roberta_base --encoder-layers 1
--encoder-embed-dim 8 --encoder-ffn-embed-dim 8 --encoder-attention-heads 1 --max-positions 64
--tokens-per-sample 60 --sample-break-mode complete --batch-size 4 --optimizer adam --lr 1e-4
--max-update 2 --cpu --no-save --disable-validation --log-format simple --data-buffer-size 0"""


def test_fairseq_train_masked_lm(small_dump: Path, tmp_path: Path) -> None:
    bins = corpus(small_dump, tmp_path / "run", 1) / "bin"
    command = [sys.executable, "-m", "fairseq_cli.train", str(bins), *COMMAND.split()]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr[-2000:]}"
    assert "num_updates 2 " in done.stdout and "done training" in done.stdout
