"""The dictionary of training, and the layout of sentence pairs (stackbert.pairs)."""

from fairseq.data import Dictionary

from stackbert.pairs import (
    SPECIALS,
    Ids,
    collate_pairs,
    pack_pairs,
    query_slots,
    truncated_lengths,
)

__all__ = [
    "SPECIALS",
    "Ids",
    "collate_pairs",
    "load_dictionary",
    "pack_pairs",
    "query_slots",
    "truncated_lengths",
]


def load_dictionary(path: str) -> Dictionary:
    """Read dict.txt: `<cls>` takes the slot of fairseq's `<s>`, `<mask>` comes last."""
    dictionary = Dictionary(bos="<cls>")
    dictionary.add_from_file(path)
    dictionary.add_symbol("<mask>")
    return dictionary
