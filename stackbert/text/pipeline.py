"""The corpus' path for single lines, so that task text is prepared exactly as the corpus was."""

from pathlib import Path

from stackbert.text import words
from stackbert.text.bpe import Encoder
from stackbert.text.clean import blank_backslashes, clean_line


class TextPipeline:
    """Raw line -> BPE text: cleaned, tokenized by Moses, lower case, merges of `codes` applied.

    No line is filtered out. With `segmenter="none"` (a task's sentence) the line stays whole;
    otherwise it is segmented as the corpus is, before its sentences are put back on one line.
    """

    def __init__(self, codes: str | Path, segmenter: str = "none") -> None:
        self._bpe = Encoder(codes)
        self._segment = None if segmenter == "none" else words.segmenter(segmenter)

    def encode(self, line: str | bytes) -> str:
        """`A colourless green idea.` -> `a colour@@ less green idea .`; empty for an empty line."""
        line = blank_backslashes(clean_line(line))
        sentences = self._segment(line) if self._segment else [line]
        return " ".join(self._bpe(words.tokenize(sentence)) for sentence in sentences)
