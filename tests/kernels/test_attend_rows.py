"""attend_rows against scaled_dot_product_attention and a loop over rows and heads; its kernel against the reference."""

import pytest
import torch
import torch.nn.functional as F

import scorer.kernels.rows
from scorer.kernels.attend_rows import attend_rows, attend_rows_reference, attend_rows_triton
from scorer.kernels.rows import row_layout

SCALE = 0.3
# query heads, KV heads
GQA, MHA, MQA = (9, 3), (4, 4), (6, 1)
# rows and context tokens of each group: one block, several, tails, one token, a context shorter than its rows
ONE = ([32], [100])
SHORT = ([3], [1])
RAGGED = ([32, 1, 3, 16], [257, 63, 5, 1])
LONG = ([1, 40], [600, 300])
NO_CONTEXT = ([4, 2], [0, 7])


class Case:
    """Groups over a pool in which every slot that no group looks at is NaN."""

    def __init__(self, groups, heads, head_dim, dtype=torch.float32, device="cpu"):
        self.rows, self.tokens = groups
        self.query_heads, self.kv_heads = heads
        generator = torch.Generator().manual_seed(0)

        def random(*sizes):
            return torch.randn(*sizes, head_dim, generator=generator).to(device, dtype)

        used, rows = sum(self.tokens), sum(self.rows)
        slots = torch.randperm(2 * used + 8, generator=generator).to(device)
        self.contexts = slots[:used].split(self.tokens)
        self.layout = row_layout(self.contexts, self.rows)
        self.queries = random(rows, self.query_heads)
        self.row_keys, self.row_values = random(rows, self.kv_heads), random(rows, self.kv_heads)
        self.key_pool, self.value_pool = random(len(slots), self.kv_heads), random(len(slots), self.kv_heads)
        self.key_pool[slots[used:]] = self.value_pool[slots[used:]] = torch.nan

    @property
    def arguments(self):
        return (
            self.queries, self.row_keys, self.row_values, self.key_pool, self.value_pool, self.layout, SCALE,
        )  # fmt: skip

    def groups(self):
        """Queries [W, Hq, D], keys and values [T + W, Hkv, D] of each group."""
        parts = (part.split(self.rows) for part in (self.queries, self.row_keys, self.row_values))
        for q, k, v, context in zip(*parts, self.contexts, strict=True):
            yield q, torch.cat([self.key_pool[context], k]), torch.cat([self.value_pool[context], v])


@pytest.mark.parametrize("heads", [GQA, MHA, MQA], ids=str)
@pytest.mark.parametrize("groups", [ONE, SHORT, RAGGED, NO_CONTEXT], ids=str)
def test_output_is_causal_attention_over_context_and_earlier_rows_of_the_group(groups, heads):
    case = Case(groups, heads, 16)
    output, _ = attend_rows(*case.arguments)
    for ours, (q, keys, values) in zip(output.split(case.rows), case.groups(), strict=True):
        mask = torch.ones(len(q), len(keys), dtype=torch.bool).tril(len(keys) - len(q))
        q, keys, values = (part.transpose(0, 1)[None] for part in (q, keys, values))
        expected = F.scaled_dot_product_attention(q, keys, values, attn_mask=mask, scale=SCALE, enable_gqa=True)
        torch.testing.assert_close(ours, expected[0].transpose(0, 1))


@pytest.mark.parametrize("heads", [GQA, MHA, MQA], ids=str)
def test_mass_is_the_mean_probability_over_rows_and_the_heads_of_the_group(heads):
    case = Case(([5, 3], [40, 2]), heads, 16)
    _, mass = attend_rows(*case.arguments)
    group = case.query_heads // case.kv_heads
    for ours, (q, keys, _) in zip(mass.split(case.layout.mass_sizes, dim=1), case.groups(), strict=True):
        expected = torch.zeros(case.kv_heads, len(keys))
        for row in range(len(q)):
            seen = len(keys) - len(q) + row + 1
            for head in range(case.query_heads):
                logits = keys[:seen, head // group] @ q[row, head] * SCALE
                expected[head // group, :seen] += logits.softmax(0) / (len(q) * group)
        torch.testing.assert_close(ours, expected)


def test_mass_of_each_group_and_head_sums_to_one():
    case = Case(RAGGED, GQA, 16)
    for mass in attend_rows(*case.arguments)[1].split(case.layout.mass_sizes, dim=1):
        torch.testing.assert_close(mass.sum(-1), torch.ones(case.kv_heads))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mass_is_float32_and_output_keeps_the_dtype_of_the_model(dtype):
    case = Case(ONE, GQA, 16, dtype)
    output, mass = attend_rows(*case.arguments)
    assert (output.dtype, mass.dtype) == (dtype, torch.float32)
    for name in ("queries", "row_keys", "row_values", "key_pool", "value_pool"):
        setattr(case, name, getattr(case, name).float())
    exact, exact_mass = attend_rows(*case.arguments)
    # the same inputs, so only probabilities and output are rounded
    torch.testing.assert_close(output.float(), exact, rtol=2e-2, atol=2e-2)
    torch.testing.assert_close(mass, exact_mass)


# every kind of heads with every group, and every head size, but not with one another: the interpreter is slow
KERNEL_CASES = [
    *((groups, heads, 16) for groups in (ONE, SHORT, RAGGED, LONG, NO_CONTEXT) for heads in (GQA, (8, 2), MHA, MQA)),
    (RAGGED, GQA, 64),
    (RAGGED, MHA, 80),
    (SHORT, GQA, 256),
]


@pytest.mark.parametrize(("groups", "heads", "head_dim"), KERNEL_CASES, ids=str)
def test_kernel_gives_what_the_reference_gives(groups, heads, head_dim, device):
    case = Case(groups, heads, head_dim, device=device)
    output, mass = attend_rows_triton(*case.arguments)
    expected, expected_mass = attend_rows_reference(*case.arguments)
    # both add up in float32, in another order and with the maximum subtracted at another time
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mass, expected_mass, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("head_dim", [64, 256])
def test_kernel_gives_what_the_reference_gives_in_half_precision(dtype, head_dim, device):
    case = Case(RAGGED, GQA, head_dim, dtype, device)
    output, mass = attend_rows_triton(*case.arguments)
    expected, expected_mass = attend_rows_reference(*case.arguments)
    assert output.dtype == dtype
    # products of such inputs are exact in float32, so the mass is as good as in float32; the reference rounds
    # probabilities before it adds up values, the kernel rounds unnormalised weights: 8 bits in bfloat16
    torch.testing.assert_close(mass, expected_mass, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(output, expected, rtol=2e-2, atol=1e-2)


def test_kernel_gives_what_the_reference_gives_when_parts_end_inside_a_block(monkeypatch, device):
    monkeypatch.setattr(scorer.kernels.rows, "MIN_PART_TOKENS", 100)
    case = Case(RAGGED, GQA, 16, device=device)
    assert case.layout.part_tokens == 100
    output, mass = attend_rows_triton(*case.arguments)
    expected, expected_mass = attend_rows_reference(*case.arguments)
    # as above
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mass, expected_mass, rtol=1e-4, atol=1e-6)


def test_kernel_reads_a_pool_of_another_dtype_and_rows_that_are_slices(device):
    case = Case(RAGGED, GQA, 16, device=device)
    case.key_pool, case.value_pool = case.key_pool.bfloat16(), case.value_pool.bfloat16()
    packed = torch.cat([case.queries, case.row_keys, case.row_values], dim=1)
    case.queries, case.row_keys, case.row_values = packed.split([case.query_heads, case.kv_heads, case.kv_heads], dim=1)
    output, mass = attend_rows_triton(*case.arguments)
    expected, expected_mass = attend_rows_reference(*case.arguments)
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mass, expected_mass, rtol=1e-4, atol=1e-6)


def test_large_logits_neither_overflow_nor_lose_the_sum(device):
    case = Case(RAGGED, GQA, 16, device=device)
    case.queries = case.queries * 100
    output, mass = attend_rows_triton(*case.arguments)
    assert output.isfinite().all()
    for part in mass.split(case.layout.mass_sizes, dim=1):
        # logits in the hundreds have an error of 1e-5 in float32, and so has the log-sum-exp taken from them
        torch.testing.assert_close(part.sum(-1), torch.ones_like(part[:, 0]), rtol=1e-3, atol=1e-3)
