"""The dictionary of training."""

from fairseq.data import Dictionary


def load_dictionary(path: str) -> Dictionary:
    """Read dict.txt: `<cls>` takes the slot of fairseq's `<s>`, `<mask>` comes last."""
    dictionary = Dictionary(bos="<cls>")
    dictionary.add_from_file(path)
    dictionary.add_symbol("<mask>")
    return dictionary
