"""The jobs that work on one shard of the corpus each: clean, tokenize, apply BPE; their counters.

Shards are ranges of whole documents, in order, so that the shards' outputs one after the other are
the same bytes however many there are. Everything streams; no job holds its shard.
"""

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from stackbert.text import bpe, words
from stackbert.text.clean import clean_document
from stackbert.text.files import open_lines, replacing, shard_lines, write_json
from stackbert.text.progress import Progress
from stackbert.text.split import DUPLICATE, VALID, line_hash


def clean_shard(
    texts: Sequence[str | Path],
    lines: str | Path,
    hashes: str | Path,
    counts_path: str | Path,
    shard: int,
    shards: int,
) -> Counter[str]:
    """Steps 2 to 4 but for repeated lines: documents -> kept lines and their hashes, in order.

    `texts` are files of JSON lines {id, title, text}: the articles, then the books if any.
    """
    counts: Counter[str] = Counter(documents=0, lines_read=0, lines_kept=0)
    progress = Progress("clean", sum(map(os.path.getsize, texts)) // shards)
    with replacing(lines) as out, replacing(hashes, "wb") as marks:
        for document in shard_lines(texts, shard, shards):
            counts["documents"] += 1
            raw = json.loads(document)["text"].split("\n")
            for line in clean_document(raw, counts):
                out.write(line + "\n")
                marks.write(line_hash(line))
            progress.add(len(document))
    write_json(counts_path, counts)
    return counts


def tokenize_shard(
    lines: str | Path,
    flags: str | Path,
    train: str | Path,
    valid: str | Path,
    table: str | Path,
    counts_path: str | Path,
    segmenter: str,
) -> Counter[str]:
    """Steps 5 to 7 and 9: kept lines -> tokenized sentences of both parts, training word counts.

    A paragraph is a document: an empty line follows it. The words are counted before short lines
    are dropped, as the merges are learnt on all of the tokenized training text.
    """
    segment = words.segmenter(segmenter)
    counts: Counter[str] = Counter(sentences=0, words=0)
    progress = Progress("tokenize", os.path.getsize(lines))
    with (
        open_lines(lines) as file,
        open(flags, "rb") as fates,
        replacing(train) as train_out,
        replacing(valid) as valid_out,
        bpe.WordTable(table) as training_words,
    ):
        for line in file:
            progress.add(len(line))
            fate = fates.read(1)[0]
            if fate == DUPLICATE:
                continue
            sentences = [words.tokenize(sentence) for sentence in segment(line.rstrip("\n"))]
            counts["sentences"] += len(sentences)
            counts["words"] += sum(sentence.count(" ") + 1 for sentence in sentences)
            if fate != VALID:
                for sentence in sentences:
                    training_words.add(sentence.split(" "))
            joined = words.join_short(sentences)
            kept = words.part_documents(joined)
            counts["joined_sentences"] += len(sentences) - len(joined)
            counts["dropped_sentences"] += len(joined) - sum(map(bool, kept))
            (valid_out if fate == VALID else train_out).writelines(line + "\n" for line in kept)
    write_json(counts_path, counts)
    return counts


def encode_shard(
    train: str | Path,
    valid: str | Path,
    train_out: str | Path,
    valid_out: str | Path,
    codes: str | Path,
) -> Counter[str]:
    """Step 8, second half: tokenized lines -> the same lines in pieces with `@@ ` joints."""
    encode = bpe.Encoder(codes)
    counts: Counter[str] = Counter(lines=0, pieces=0)
    progress = Progress("apply_bpe", os.path.getsize(train) + os.path.getsize(valid))
    for source, target in ((train, train_out), (valid, valid_out)):
        with open_lines(source) as file, replacing(target) as out:
            for line in file:
                pieces = encode(line)
                out.write(pieces + "\n")
                counts["lines"] += 1
                counts["pieces"] += pieces.count(" ") + bool(pieces)
                progress.add(len(line))
    return counts
