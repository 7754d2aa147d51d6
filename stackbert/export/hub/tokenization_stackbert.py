"""The corpus' path from raw text to ids as a tokenizer of transformers.

Cleaning, Moses' normalization and tokenizer, lower case, byte pair encoding, dictionary.
"""

import os
import shutil
from typing import Any

from transformers import PreTrainedTokenizer

from stackbert.text.bpe import SEPARATOR, Encoder
from stackbert.text.clean import blank_backslashes, clean_line
from stackbert.text.words import tokenize
from stackbert.vocabulary import CLS, MASK, PAD, SEP, UNK, Vocabulary, masked_pieces


class StackBertTokenizer(PreTrainedTokenizer):
    """Raw text -> the ids of training; `<mask>` is the one special symbol that text may hold."""

    vocab_files_names = {"vocab_file": "dict.txt", "merges_file": "bpe.codes"}  # noqa: RUF012
    model_input_names = ["input_ids", "token_type_ids", "attention_mask"]  # noqa: RUF012

    def __init__(self, vocab_file: str, merges_file: str, **kwargs: Any) -> None:
        self.vocab_file, self.merges_file = vocab_file, merges_file
        self._vocabulary, self._bpe = Vocabulary(vocab_file), Encoder(merges_file)
        specials = {"cls_token": CLS, "pad_token": PAD, "sep_token": SEP, "unk_token": UNK}
        fixed = {"special_tokens_pattern": "cls_sep", "clean_up_tokenization_spaces": False}
        super().__init__(**(specials | {"mask_token": MASK} | kwargs | fixed))

    @property
    def vocab_size(self) -> int:
        """Entries of the dictionary, special symbols included."""
        return len(self._vocabulary)

    def get_vocab(self) -> dict[str, int]:
        """Symbol -> id."""
        return dict(self._vocabulary.indices)

    def tokenize(self, text: str, **kwargs: Any) -> list[str]:
        """Pieces of a raw text; with `split_special_tokens` even `<mask>` is ordinary text."""
        if kwargs.get("split_special_tokens", self.split_special_tokens):
            return self._tokenize(text)
        return masked_pieces(self._encode_text, text)

    def _tokenize(self, text: str, **kwargs: Any) -> list[str]:
        return self._encode_text(text).split()

    def _encode_text(self, text: str) -> str:
        return self._bpe(tokenize(blank_backslashes(clean_line(text))))

    def _convert_token_to_id(self, token: str) -> int:
        return self._vocabulary.index(token)

    def _convert_id_to_token(self, index: int) -> str:
        return self._vocabulary.symbols[index]

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """Pieces -> words in lower case, parted by spaces."""
        return " ".join(tokens).replace(SEPARATOR + " ", "")

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """Three also for a single text, since training leaves room for a second `</s>`."""
        return 3

    def create_token_type_ids_from_sequences(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """Segment ids of training: 1 for `<cls>`, A and its `</s>`, 0 for B and its `</s>`."""
        second = [] if token_ids_1 is None else [0] * (len(token_ids_1) + 1)
        return [1] * (len(token_ids_0) + 2) + second

    def save_vocabulary(
        self, save_directory: str, filename_prefix: str | None = None
    ) -> tuple[str, ...]:
        """Copy the dictionary and the merges; returns their paths."""
        paths = []
        for key, source in (("vocab_file", self.vocab_file), ("merges_file", self.merges_file)):
            name = "-".join(filter(None, [filename_prefix, self.vocab_files_names[key]]))
            paths.append(os.path.join(save_directory, name))
            if os.path.abspath(source) != os.path.abspath(paths[-1]):
                shutil.copyfile(source, paths[-1])
        return tuple(paths)
