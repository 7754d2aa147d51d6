"""Segmentation, tokenization and the joining of short sentences."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackbert.errors import UserError
from stackbert.text.words import join_short, part_documents, segmenter, tokenize


def test_sentencex_parts_sentences() -> None:
    segment = segmenter("sentencex")
    assert segment("It was Mr. Smith. He left! Why?") == [
        "It was Mr. Smith.",
        "He left!",
        "Why?",
    ]


def test_none_keeps_the_paragraph() -> None:
    assert segmenter("none")(" One. Two. ") == ["One. Two."]


@pytest.mark.parametrize("name", ["sentencex", "none"])
def test_segments_without_a_word_are_dropped(name: str) -> None:
    assert segmenter(name)("... !? --") == []


def test_unknown_segmenter() -> None:
    with pytest.raises(UserError, match=r"corpus\.segmenter is 'spacy'"):
        segmenter("spacy")


@pytest.mark.parametrize(
    ("sentence", "tokens"),
    [
        ("Don't stop, Mr. Smith.", "don 't stop , mr. smith ."),
        ("It cost $5,300 (about 10%)...", "it cost $ 5,300 ( about 10 % ) ..."),
        ("A & B <b> \"c\" [d] 'e'", "a & b < b > \" c \" [ d ] ' e'"),
        (
            "<mask> <cls> </s> <pad> <unk> foo@@ bar",
            "< mask > < cls > < / s > < pad > < unk > foo @ @ bar",
        ),
        ("well-known 'n' it's.'", "well-known ' n ' it 's . '"),
    ],
)
def test_tokenize(sentence: str, tokens: str) -> None:
    assert tokenize(sentence) == tokens


def words(*lengths: int, end: str = "x") -> list[str]:
    return [" ".join(["w"] * (n - 1) + [end]) for n in lengths]


def lengths(sentences: list[str]) -> list[int]:
    return [len(sentence.split()) for sentence in sentences]


def test_join_short_takes_the_least_pair() -> None:
    assert lengths(join_short(words(9, 3, 6))) == [9, 9]
    assert lengths(join_short(words(6, 3, 9))) == [9, 9]
    assert lengths(join_short(words(6, 3, 6))) == [9, 6]


def test_join_short_goes_on_until_none_is_short() -> None:
    assert lengths(join_short(words(1, 1, 1, 1, 1))) == [5]
    assert lengths(join_short(words(5, 5))) == [5, 5]


def test_the_least_pair_need_not_hold_the_shortest() -> None:
    assert lengths(join_short(words(4, 30, 6, 6))) == [34, 12]


@pytest.mark.parametrize("end", [".", '"', "!", "?"])
def test_joining_across_a_sentence_end_costs_five(end: str) -> None:
    assert lengths(join_short(words(6) + words(3, 10))) == [9, 10]
    assert lengths(join_short(words(6, end=end) + words(3, 10))) == [6, 13]
    assert lengths(join_short(words(6, end=end) + words(3, 11))) == [9, 11]


def test_no_sentence_gets_longer_than_250_words() -> None:
    assert lengths(join_short(words(247, 4))) == [247, 4]
    assert lengths(join_short(words(246, 4))) == [250]
    assert join_short([]) == []
    assert join_short(["a b"]) == ["a b"]


def plain_join(sentences: list[str]) -> list[str]:
    """The rule read literally, in quadratic time."""
    texts = list(sentences)
    while len(texts) > 1 and min(lengths(texts)) < 5:
        n = lengths(texts)
        costs = [
            (n[i] + n[i + 1] + 5 * texts[i].endswith((".", '"', "!", "?")), i)
            for i in range(len(n) - 1)
            if n[i] + n[i + 1] <= 250
        ]
        if not costs:
            break
        i = min(costs)[1]
        texts[i : i + 2] = [" ".join(texts[i : i + 2])]
    return texts


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([1, 2, 3, 4, 5, 9, 120, 246, 300]), st.sampled_from("x.?")))
)
def test_join_short_on_any_paragraph(shape: list[tuple[int, str]]) -> None:
    sentences = [" ".join([*"w" * (n - 1), end]) for n, end in shape]
    assert join_short(sentences) == plain_join(sentences)


def test_join_short_on_a_long_paragraph() -> None:
    assert lengths(join_short(["w ."] * 100_000)) == [8] * 25_000


def test_part_documents() -> None:
    long, short = "a" * 20, "a" * 19
    assert part_documents([long, long]) == [long, long, ""]
    assert part_documents([long, short, short, long]) == [long, "", long, ""]
    assert part_documents([short, long]) == [long, ""]
    assert part_documents([short]) == part_documents([]) == []
    assert part_documents(["a" * 1_000_000]) == ["a" * 1_000_000, ""]
    assert part_documents(["a" * 1_000_001]) == []
