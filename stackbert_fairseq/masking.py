"""Which tokens the masked-token loss asks for, and what the model sees in their place.

Symbols: b batch, n positions, m masked tokens.
"""

from dataclasses import dataclass

import numpy as np
from fairseq.data import Dictionary
from numpy.typing import NDArray

Ids = NDArray[np.int64]

# Of the chosen tokens 80 % become <mask>, 10 % a random token, 10 % stay (paper, section 5.1).
SHARE_MASK, SHARE_RANDOM = 0.8, 0.1


@dataclass(frozen=True)
class Masker:
    """Draws masks over batches whose special symbols are never chosen."""

    dictionary: Dictionary
    probability: float

    def __call__(self, tokens: Ids, rng: np.random.Generator) -> tuple[Ids, Ids, Ids]:
        """Token ids [b, n] -> ids to show [b, n], flat positions [m] and their true ids [m]."""
        words = self.dictionary.nspecial
        last_word = self.dictionary.index("<mask>")  # words lie between the specials and <mask>
        # <unk> (below `words`) is not asked for either: it stands for no particular token.
        ordinary = (tokens >= words) & (tokens < last_word)
        chosen = ordinary & (rng.random(tokens.shape) < self.probability)
        positions = np.flatnonzero(chosen)
        targets = tokens.ravel()[positions]
        draw = rng.random(len(positions))
        shown = np.where(draw < SHARE_MASK, last_word, targets)
        replaced = (draw >= SHARE_MASK) & (draw < SHARE_MASK + SHARE_RANDOM)
        shown[replaced] = rng.integers(words, last_word, replaced.sum())
        seen = tokens.copy()
        seen.ravel()[positions] = shown
        return seen, positions, targets
