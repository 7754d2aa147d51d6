"""fairseq's dictionary for fairseq-preprocess, counting and looking up whole lines at a time.

fairseq's own loops handle each word by itself (2.4 s for the embedded corpus, against 0.3 s); what
they write is the same to the byte, which the tests check. Imported by the binarize step only, since
importing fairseq takes seconds.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from fairseq.data import Dictionary
from fairseq.tasks import LegacyFairseqTask, register_task

from stackbert.text.files import open_lines

TASK = "stackbert_text"


class LineDictionary(Dictionary):
    """A fairseq dictionary that encodes a line of words parted by spaces in one go."""

    def encode_line(
        self,
        line: str,
        line_tokenizer: Callable[[str], list[str]] | None = None,
        add_if_not_exist: bool = False,
        consumer: Callable[[str, int], None] | None = None,
        append_eos: bool = True,
        reverse_order: bool = False,
    ) -> torch.Tensor:
        """Word ids [n], with </s> at the end; `consumer` hears only of lines with unknown words."""
        if add_if_not_exist or reverse_order:
            raise NotImplementedError("a finished dictionary encodes lines from left to right")
        words = line.split()
        try:
            ids = list(map(self.indices.__getitem__, words))
        except KeyError:
            ids = list(map(self.index, words))
            for word, index in zip(words, ids, strict=True):
                if consumer is not None:
                    consumer(word, index)
        if append_eos:
            ids.append(self.eos())
        return torch.from_numpy(np.array(ids, dtype=np.int32))


@register_task(TASK)
class TextTask(LegacyFairseqTask):
    """What `fairseq-preprocess --task stackbert_text` asks for: a dictionary built from files."""

    @classmethod
    def build_dictionary(
        cls,
        filenames: Sequence[str],
        workers: int = 1,
        threshold: int = -1,
        nwords: int = -1,
        padding_factor: int = 8,
    ) -> LineDictionary:
        """The `nwords` most frequent words of the files, special symbols included."""
        counts: Counter[str] = Counter()
        for filename in filenames:
            with open_lines(filename) as lines:
                for line in lines:
                    counts.update(line.split())
        dictionary = LineDictionary()
        for word, count in counts.items():
            dictionary.add_symbol(word, count)
        dictionary.finalize(threshold=threshold, nwords=nwords, padding_factor=padding_factor)
        return dictionary

    @classmethod
    def setup_task(cls, args: Any, **kwargs: Any) -> "TextTask":
        """Nothing to set up: the task only preprocesses."""
        return cls(args)
