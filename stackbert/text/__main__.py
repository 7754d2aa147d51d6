"""`python -m stackbert.text clean|tokenize < in > out`: the corpus' path for lines, one by one.

clean     step 2 of the method: whitespace, dots, quotes, Moses' normalization, control characters
tokenize  the same, then Moses' English tokenizer (no escapes) and lower case

Every line of the input gives exactly one line of output; nothing is filtered, joined or segmented.
"""

import argparse
import sys

from stackbert.text.clean import clean_line
from stackbert.text.words import tokenize


def main() -> None:
    """Read lines from standard input, write what became of them to standard output."""
    parser = argparse.ArgumentParser(
        prog="python -m stackbert.text",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("step", choices=["clean", "tokenize"])
    step = parser.parse_args().step
    out = sys.stdout.buffer
    for raw in sys.stdin.buffer:
        line = clean_line(raw)
        if step == "tokenize":
            line = tokenize(line)
        out.write(line.encode("utf-8", "ignore") + b"\n")
    out.flush()


if __name__ == "__main__":
    main()
