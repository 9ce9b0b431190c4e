"""compact_kv copies exactly, for each head its own tokens, also onto its own source."""

import pytest
import torch

from scorer.kernels.compact_kv import compact_kv, compact_kv_triton

LAYERS, SLOTS, HEADS, TOKENS, KEPT = 2, 64, 3, 40, 10
FIRST = [lambda source: source[:KEPT], lambda source: source.flip(0)[:KEPT]]
FORMS = [compact_kv, compact_kv_triton]
BITS = {2: torch.int16, 4: torch.int32}


def case(seed, device, dtype=torch.float32, dims=(8, 8), kept_tokens=KEPT):
    generator = torch.Generator().manual_seed(seed)
    layers = [
        [torch.randn(SLOTS, HEADS, dim, generator=generator).to(device, dtype) for dim in dims] for _ in range(LAYERS)
    ]
    source = torch.randperm(SLOTS, generator=generator)[:TOKENS].to(device)
    kept = torch.rand(LAYERS, HEADS, TOKENS, generator=generator).argsort(-1)[..., :kept_tokens].sort(-1).values
    return layers, source, kept.to(device)


def assert_moved(layers, before, source, kept, target):
    for buffers, olds, positions in zip(layers, before, kept, strict=True):
        for buffer, old in zip(buffers, olds, strict=True):
            for head in range(HEADS):
                # bits, as one NaN does not equal another
                bits = BITS[buffer.dtype.itemsize]
                assert torch.equal(buffer[target, head].view(bits), old[source[positions[head]], head].view(bits))
            others = torch.ones(SLOTS, dtype=torch.bool).index_fill(0, target.cpu(), False)
            assert torch.equal(buffer[others], old[others])


def copies(layers):
    return [[buffer.clone() for buffer in buffers] for buffers in layers]


@pytest.mark.parametrize("move", FORMS)
@pytest.mark.parametrize("target_of", FIRST)
def test_each_head_gets_its_own_tokens_when_source_and_target_overlap(move, target_of, device):
    layers, source, kept = case(0, device)
    before, target = copies(layers), target_of(source)
    move(layers, source, kept, target)
    assert_moved(layers, before, source, kept, target)


@pytest.mark.parametrize("move", FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_slots_that_are_no_target_stay_as_they_were(move, dtype, device):
    layers, source, kept = case(1, device, dtype, dims=(80, 16))
    free = sorted(set(range(SLOTS)) - set(source.tolist()))
    before, target = copies(layers), torch.tensor(free[:KEPT], device=device)
    move(layers, source, kept, target)
    assert_moved(layers, before, source, kept, target)


@pytest.mark.parametrize("kept_tokens", [1, 16, 17, TOKENS])
def test_kernel_copies_blocks_with_and_without_a_tail(kept_tokens, device):
    layers, source, kept = case(2, device, kept_tokens=kept_tokens)
    before, target = copies(layers), source.flip(0)[:kept_tokens]
    compact_kv_triton(layers, source, kept, target)
    assert_moved(layers, before, source, kept, target)


def test_kernel_copies_nan_and_writes_to_a_pool_that_is_a_slice(device):
    _, source, kept = case(3, device)
    pool = torch.randn(SLOTS, 2, HEADS, 8, generator=torch.Generator().manual_seed(3)).to(device)
    pool[source[kept[0, 0, 0]]] = torch.nan
    layers = [[pool[:, 0]], [pool[:, 1]]]
    before, target = copies(layers), source[:KEPT]
    compact_kv_triton(layers, source, kept, target)
    for (buffer,), (old,), positions in zip(layers, before, kept, strict=True):
        for head in range(HEADS):
            moved, wanted = buffer[target, head], old[source[positions[head]], head]
            assert torch.equal(moved.view(torch.int32), wanted.view(torch.int32))
