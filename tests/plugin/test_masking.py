"""Statistics of masks and of sentence pairs; no special symbol is ever touched."""

import numpy as np
import pytest
import torch
from fairseq.data import Dictionary

from stackbert.errors import UserError
from stackbert.pairs import collate_pairs, pack_pairs, truncated_lengths
from stackbert_fairseq.masking import Masker
from stackbert_fairseq.pairs import load_dictionary
from stackbert_fairseq.pretrain_dataset import NextSentenceDataset

WORDS = 1000


@pytest.fixture(scope="module")
def dictionary(tmp_path_factory: pytest.TempPathFactory) -> Dictionary:
    path = tmp_path_factory.mktemp("dictionary") / "dict.txt"
    path.write_text("".join(f"w{i} {WORDS - i}\n" for i in range(WORDS)))
    return load_dictionary(str(path))


class Lines(list):
    """Token lists with the sizes that fairseq's datasets have."""

    @property
    def sizes(self) -> np.ndarray:
        return np.array([len(line) for line in self])


@pytest.fixture(scope="module")
def dataset(dictionary: Dictionary) -> NextSentenceDataset:
    rng = np.random.default_rng(0)
    lines = Lines()
    for _ in range(300):  # documents of 1 to 6 lines, each parted by an empty line
        for _ in range(rng.integers(1, 7)):
            words = rng.integers(4, 4 + WORDS, rng.integers(3, 30))
            lines.append(torch.tensor([*words, dictionary.eos()]))
        lines.append(torch.tensor([dictionary.eos()]))
    return NextSentenceDataset(lines, dictionary, Masker(dictionary, 0.15), 40, seed=1)


def test_special_symbols(dictionary: Dictionary) -> None:
    symbols = [dictionary[i] for i in (0, 1, 2, 3, len(dictionary) - 1)]
    assert symbols == ["<cls>", "<pad>", "</s>", "<unk>", "<mask>"]
    assert len(dictionary) == WORDS + 5


def test_masking_shares(dictionary: Dictionary) -> None:
    rng = np.random.default_rng(3)
    tokens = rng.integers(0, len(dictionary), (400, 500))
    seen, positions, targets = Masker(dictionary, 0.15)(tokens, rng)
    ordinary = (tokens >= 4) & (tokens < len(dictionary) - 1)
    count = len(positions)
    # Four standard deviations of a binomial share.
    margin = 4 * np.sqrt(0.25 / count)
    assert abs(count / ordinary.sum() - 0.15) < margin
    assert ordinary.ravel()[positions].all()
    assert (targets == tokens.ravel()[positions]).all()
    shown = seen.ravel()[positions]
    mask = dictionary.index("<mask>")
    assert abs((shown == mask).mean() - 0.8) < margin
    assert abs((shown == targets).mean() - 0.1) < margin
    replaced = shown[(shown != mask) & (shown != targets)]
    assert replaced.min() >= 4 and replaced.max() < mask
    untouched = np.ones(tokens.size, bool)
    untouched[positions] = False
    assert (seen.ravel()[untouched] == tokens.ravel()[untouched]).all()


def test_pairs_are_half_true_and_never_cross_a_document(dataset: NextSentenceDataset) -> None:
    sizes = dataset.line_sizes
    shares = []
    for epoch in (1, 2, 3):
        dataset.set_epoch(epoch)
        assert (sizes[dataset.first] > 0).all() and (sizes[dataset.second] > 0).all()
        true = dataset.second == dataset.first + 1
        assert (true == dataset.follows).all()  # a drawn line is never the true one
        shares.append(true.mean())
        drawn = dataset.second[~true]
        assert (sizes[drawn - 1] > 0).all()  # "the next line of another"
    assert abs(np.mean(shares) - 0.5) < 4 * np.sqrt(0.25 / (3 * len(dataset)))


def test_epochs_differ_and_repeat(dataset: NextSentenceDataset) -> None:
    dataset.set_epoch(1)
    first = dataset.second.copy()
    batch = dataset.collater([dataset[i] for i in range(20)])
    dataset.set_epoch(2)
    assert (dataset.second != first).any()
    dataset.set_epoch(1)
    again = dataset.collater([dataset[i] for i in range(20)])
    assert torch.equal(batch["net_input"]["tokens"], again["net_input"]["tokens"])


def test_batch_is_packed_in_order_of_length(
    dataset: NextSentenceDataset, dictionary: Dictionary
) -> None:
    dataset.set_epoch(1)
    samples = [dataset[i] for i in range(16)]
    batch = dataset.collater(samples)
    net_input = batch["net_input"]
    tokens, lengths = net_input["tokens"], net_input["lengths"]
    rows = net_input["slots"][net_input["rows"]]
    assert lengths == sorted(dataset.size(i) for i in range(16)) and lengths[-1] <= 40
    assert lengths == [dataset.size(i) for i in batch["id"].tolist()]
    assert len(tokens) == sum(lengths) == batch["ntokens"]
    assert (tokens != dictionary.pad()).all()
    assert rows[:16].tolist() == [sum(lengths[:i]) for i in range(16)]
    assert (tokens[rows[:16]] == dictionary.bos()).all()
    assert len(rows) == 16 + len(batch["targets"])
    followed = {sample["id"]: bool(sample["follows"]) for sample in samples}
    assert batch["follows"].tolist() == [followed[i] for i in batch["id"].tolist()]


def test_packed_pairs_are_the_padded_ones(
    dataset: NextSentenceDataset, dictionary: Dictionary
) -> None:
    pairs = [(sample["a"], sample["b"]) for sample in map(dataset.__getitem__, range(50))]
    packed, padded = (lay(pairs, dictionary, 40) for lay in (pack_pairs, collate_pairs))
    real = np.arange(padded["tokens"].shape[1]) < padded["lengths"][:, None]
    assert 40 in padded["lengths"]  # one is truncated
    for key in ("tokens", "segments"):
        assert (packed[key] == padded[key][real]).all()
    assert (packed["positions"] == np.nonzero(real)[1]).all()
    assert (packed["lengths"] == padded["lengths"]).all()


def test_layout_of_a_pair(dictionary: Dictionary) -> None:
    batch = collate_pairs(
        [(np.array([5, 6]), np.array([7])), (np.array([8]), None)], dictionary, 10
    )
    assert batch["tokens"].tolist() == [[0, 5, 6, 2, 7, 2], [0, 8, 2, 1, 1, 1]]
    assert batch["segments"].tolist() == [[1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 0]]
    assert batch["lengths"].tolist() == [6, 3]


def test_truncation_is_longest_first() -> None:
    def one_by_one(a: int, b: int, room: int) -> tuple[int, int]:
        while a + b > room:
            a, b = (a - 1, b) if a > b else (a, b - 1)
        return a, b

    cases = [(a, b, room) for a in range(12) for b in range(12) for room in range(13)]
    for a, b, room in cases:
        got_a, got_b = truncated_lengths(np.array([a]), np.array([b]), room)
        assert (got_a[0], got_b[0]) == one_by_one(a, b, room), (a, b, room)


def test_text_without_pairs_is_refused(dictionary: Dictionary) -> None:
    lines = Lines([torch.tensor([5, 2]), torch.tensor([2]), torch.tensor([6, 2])])
    with pytest.raises(UserError, match="give a larger corpus"):
        NextSentenceDataset(lines, dictionary, Masker(dictionary, 0.15), 40, seed=1)
