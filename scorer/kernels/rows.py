"""Where the rows of a side pass and the prompts that they look at lie in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch

# a prompt is cut into parts that are attended to in parallel: enough parts for each KV head to fill a large GPU, few
# enough that the partial results, [parts, rows, Hq, D] float32, stay small beside the K/V that is read
PARTS = 64
PART_ROWS = 2048
MIN_PART_TOKENS = 256


@dataclass(frozen=True)
class RowLayout:
    """G groups of query rows, each with its own context. Built once for a side pass, used by each of its layers.

    slots [sum T] int64: the pool slot of each context token, group after group. row_counts, token_counts: W and T of
    each group. starts [3, G + 1] int64: where each group begins in rows, in slots and in partial results. row_groups
    [R] int64: the group of each row. Contexts are cut into parts of `part_tokens`.
    """

    slots: torch.Tensor
    row_counts: tuple[int, ...]
    token_counts: tuple[int, ...]
    starts: torch.Tensor
    row_groups: torch.Tensor
    part_tokens: int
    partial_rows: int

    @property
    def mass_sizes(self) -> list[int]:
        """T + W of each group: how many keys its rows attend to."""
        return [tokens + rows for tokens, rows in zip(self.token_counts, self.row_counts, strict=True)]


def row_layout(contexts: Sequence[torch.Tensor], row_counts: Sequence[int]) -> RowLayout:
    """The layout of groups with these contexts, each [T] int64 slots, and numbers of rows. T may be 0, rows may not."""
    token_counts = tuple(len(context) for context in contexts)
    part_tokens = _part_tokens(sum(token_counts), max(row_counts))
    # the rows themselves are one part more
    partials = [(-(-tokens // part_tokens) + 1) * rows for tokens, rows in zip(token_counts, row_counts, strict=True)]
    columns = (row_counts, token_counts, partials)
    starts = torch.tensor([list(accumulate(column, initial=0)) for column in columns], dtype=torch.int64)
    row_groups = torch.arange(len(contexts)).repeat_interleave(torch.tensor(list(row_counts)))
    slots = torch.cat(list(contexts))
    return RowLayout(
        slots=slots,
        row_counts=tuple(row_counts),
        token_counts=token_counts,
        starts=starts.to(slots.device, non_blocking=True),
        row_groups=row_groups.to(slots.device, non_blocking=True),
        part_tokens=part_tokens,
        partial_rows=sum(partials),
    )


def _part_tokens(tokens: int, rows: int) -> int:
    parts = max(1, min(PARTS, PART_ROWS // rows))
    return max(MIN_PART_TOKENS, -(-tokens // parts))
