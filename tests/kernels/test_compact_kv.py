"""compact_kv copies exactly, for each head its own tokens, also onto its own source."""

import pytest
import torch

from scorer.kernels.compact_kv import compact_kv

SLOTS, HEADS, HEAD_DIM, TOKENS, KEPT = 64, 3, 8, 40, 10


def case(seed):
    torch.manual_seed(seed)
    buffers = [torch.randn(SLOTS, HEADS, HEAD_DIM) for _ in range(2)]
    source = torch.randperm(SLOTS)[:TOKENS]
    kept = torch.stack([torch.randperm(TOKENS)[:KEPT].sort().values for _ in range(HEADS)])
    return buffers, source, kept


@pytest.mark.parametrize("target_of", [lambda source: source[:KEPT], lambda source: source.flip(0)[:KEPT]])
def test_each_head_gets_its_own_tokens_when_source_and_target_overlap(target_of):
    buffers, source, kept = case(0)
    before, target = [buffer.clone() for buffer in buffers], target_of(source)
    compact_kv(buffers, source, kept, target)
    for buffer, old in zip(buffers, before, strict=True):
        for head in range(HEADS):
            assert torch.equal(buffer[target, head], old[source[kept[head]], head])


def test_slots_that_are_no_target_stay_as_they_were():
    buffers, source, kept = case(1)
    target = torch.tensor(sorted(set(range(SLOTS)) - set(source.tolist()))[:KEPT])
    before = [buffer.clone() for buffer in buffers]
    compact_kv(buffers, source, kept, target)
    others = torch.tensor(sorted(set(range(SLOTS)) - set(target.tolist())))
    for buffer, old in zip(buffers, before, strict=True):
        assert torch.equal(buffer[others], old[others])
