"""Which beginnings of prompts a replica has probably in its prefix cache, by what it was sent.

A runtime keeps the whole prompt of each request as a prefix that may be evicted, also where the request itself goes on
with fewer tokens; so a prompt that goes on where another one ended skips that part of its prefill. What is remembered
here is what this router sent: other routers do not know it, and the engine may have dropped it since.
"""

from collections import OrderedDict
from collections.abc import Sequence

BLOCK_TOKENS = 64
# of longer prompts the beginning tells enough
MOST_TOKENS = 16_384
# where the size of the pool is not known
FIRST_MOST_BLOCKS = 4096


def block_hashes(prompt_ids: Sequence[int]) -> list[int]:
    """A number for each whole block of a prompt, that depends on all tokens up to the block's end."""
    # a slice of a tuple needs no second copy to be hashed
    ids = tuple(prompt_ids[:MOST_TOKENS])
    found, chained = [], 0
    for start in range(0, len(ids) - BLOCK_TOKENS + 1, BLOCK_TOKENS):
        chained = hash((chained, ids[start : start + BLOCK_TOKENS]))
        found.append(chained)
    return found


class SentPrefixes:
    """Of one replica; the ones that were used last, as many as its pool holds."""

    def __init__(self) -> None:
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def remember(self, hashes: Sequence[int], total_slots: int) -> None:
        """A prompt was prefilled there, of which the pool holds `total_slots` tokens; 0 when that is not known."""
        # the first block last, for without it the others are of no use
        for block in reversed(hashes):
            self._blocks[block] = None
            self._blocks.move_to_end(block)
        most = total_slots // BLOCK_TOKENS or FIRST_MOST_BLOCKS
        while len(self._blocks) > most:
            self._blocks.popitem(last=False)

    def forget(self) -> None:
        """The replica has started again."""
        self._blocks.clear()

    def matched_tokens(self, hashes: Sequence[int]) -> int:
        """How many tokens at the beginning of a prompt are probably cached."""
        matched = 0
        for block in hashes:
            if block not in self._blocks:
                break
            matched += BLOCK_TOKENS
        return matched
