"""Sentences and words: steps 6, 7 and 9 of the method."""

import re
from collections.abc import Callable
from heapq import heapify, heappop, heappush

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
    words = [sentence.count(" ") + 1 for sentence in sentences]
    short = sum(count < FEWEST_WORDS for count in words)
    if not short:
        return sentences
    parts = [[sentence] for sentence in sentences]  # a sentence that was joined has none
    ends = [END_COST * sentence.endswith((".", '"', "!", "?")) for sentence in sentences]
    after = list(range(1, len(words) + 1))
    before = list(range(-1, len(words)))
    heap = [(words[i] + words[i + 1] + ends[i], i) for i in range(len(words) - 1)]
    heapify(heap)
    while short and heap:
        cost, i = heappop(heap)
        j = after[i]
        if not parts[i] or j == len(words) or cost != words[i] + words[j] + ends[i]:
            continue  # the pair has changed since; what it became is in the heap, too
        if words[i] + words[j] > MOST_WORDS:
            continue
        short -= (words[i] < FEWEST_WORDS) + (words[j] < FEWEST_WORDS)
        words[i], ends[i], after[i] = words[i] + words[j], ends[j], after[j]
        short += words[i] < FEWEST_WORDS
        before[after[j]] = i
        parts[i] += parts[j]
        parts[j] = []
        for k in (before[i], i):
            if k >= 0 and after[k] < len(words):
                heappush(heap, (words[k] + words[after[k]] + ends[k], k))
    return [" ".join(part) for part in parts if part]


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
