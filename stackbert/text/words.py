"""Sentences and words: steps 6, 7 and 9 of the method."""

import re
from collections.abc import Callable

import sentencex

from stackbert.errors import UserError
from stackbert.text import moses

FEWEST_WORDS, MOST_WORDS = 5, 250  # of a sentence after joining
END_COST = 5  # words; joining across the end of a sentence is a last resort
SHORTEST, LONGEST = 20, 1_000_000  # characters of a line that is kept

_WORD = re.compile(r"\w")


def segmenter(name: str) -> Callable[[str], list[str]]:
    """Step 6: the function that splits a paragraph into sentences, for `corpus.segmenter`."""
    if name == "sentencex":
        return _by_sentencex
    if name == "none":
        return lambda paragraph: _with_words([paragraph])
    raise UserError(f"corpus.segmenter is {name!r}; it must be sentencex or none.")


def _by_sentencex(paragraph: str) -> list[str]:
    return _with_words(sentencex.segment("en", paragraph))


def _with_words(segments: list[str]) -> list[str]:
    """Segments of only non-word characters are dropped."""
    return [segment for segment in map(str.strip, segments) if _WORD.search(segment)]


def tokenize(sentence: str) -> str:
    """Step 7: Moses' English tokenizer without escapes, then lower case; a space between words."""
    return moses.tokenize(sentence).lower()


def join_short(sentences: list[str]) -> list[str]:
    """Step 9: while a tokenized sentence has fewer than 5 words, join the cheapest neighbours.

    The cost is the pair's number of words, and 5 more if the first ends in . " ! or ?; no sentence
    gets longer than 250 words. Ties go to the first pair.
    """
    texts = list(sentences)
    words = [text.count(" ") + 1 for text in texts]
    ends = [END_COST * text.endswith((".", '"', "!", "?")) for text in texts]
    while len(texts) > 1 and min(words) < FEWEST_WORDS:
        costs = [
            (words[i] + words[i + 1] + ends[i], i)
            for i in range(len(words) - 1)
            if words[i] + words[i + 1] <= MOST_WORDS
        ]
        if not costs:
            break
        _, i = min(costs)
        texts[i : i + 2] = [texts[i] + " " + texts[i + 1]]
        words[i : i + 2] = [words[i] + words[i + 1]]
        ends[i : i + 2] = [ends[i + 1]]
    return texts


def part_documents(lines: list[str]) -> list[str]:
    """The end of step 9: one paragraph's lines -> its lines of 20 to 1,000,000 characters.

    A line outside that range becomes an empty one, and an empty line follows the paragraph; several
    in a row say no more than one and are written once.
    """
    out: list[str] = []
    for line in [*lines, ""]:
        if SHORTEST <= len(line) <= LONGEST:
            out.append(line)
        elif out and out[-1]:
            out.append("")
    return out
