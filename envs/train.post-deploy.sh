#!/usr/bin/env bash
# fairseq without torchaudio, of which no build loads beside this torch.
set -euo pipefail
python -m pip install --no-deps ve-fairseq==0.12.3
