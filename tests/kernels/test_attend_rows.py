"""attend_rows against scaled_dot_product_attention and a loop over rows and heads."""

import pytest
import torch
import torch.nn.functional as F

from scorer.kernels.attend_rows import attend_rows

# rows, query heads, KV heads, prompt tokens: GQA, MHA, one row, a prompt shorter than the rows
SHAPES = [(32, 9, 3, 100), (4, 4, 4, 63), (1, 8, 2, 1000), (16, 6, 1, 5)]
HEAD_DIM = 16


def inputs(shape, dtype=torch.float32):
    rows, query_heads, kv_heads, tokens = shape
    torch.manual_seed(0)
    sizes = ((rows, query_heads), (tokens, kv_heads), (tokens, kv_heads), (rows, kv_heads), (rows, kv_heads))
    return [torch.randn(*size, HEAD_DIM).to(dtype) for size in sizes]


def mask(rows, tokens):
    return torch.ones(rows, tokens + rows, dtype=torch.bool).tril(tokens)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_output_is_causal_attention_over_prompt_and_earlier_rows(shape):
    queries, prompt_keys, prompt_values, row_keys, row_values = inputs(shape)
    keys, values = torch.cat([prompt_keys, row_keys]), torch.cat([prompt_values, row_values])
    expected = F.scaled_dot_product_attention(
        queries.transpose(0, 1)[None],
        keys.transpose(0, 1)[None],
        values.transpose(0, 1)[None],
        attn_mask=mask(shape[0], shape[3]),
        scale=0.3,
        enable_gqa=True,
    )
    output, _ = attend_rows(queries, prompt_keys, prompt_values, row_keys, row_values, 0.3)
    torch.testing.assert_close(output, expected[0].transpose(0, 1))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_mass_is_the_mean_probability_over_rows_and_the_heads_of_the_group(shape):
    rows, query_heads, kv_heads, tokens = shape
    queries, prompt_keys, prompt_values, row_keys, row_values = inputs(shape)
    keys, group = torch.cat([prompt_keys, row_keys]), query_heads // kv_heads
    expected = torch.zeros(kv_heads, tokens + rows)
    for row in range(rows):
        for head in range(query_heads):
            logits = keys[: tokens + row + 1, head // group] @ queries[row, head] * 0.3
            expected[head // group, : tokens + row + 1] += logits.softmax(0) / (rows * group)
    _, mass = attend_rows(queries, prompt_keys, prompt_values, row_keys, row_values, 0.3)
    torch.testing.assert_close(mass, expected)
    torch.testing.assert_close(mass.sum(-1), torch.ones(kv_heads))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mass_is_float32_and_output_keeps_the_dtype_of_the_model(dtype):
    queries, prompt_keys, prompt_values, row_keys, row_values = inputs(SHAPES[0], dtype)
    output, mass = attend_rows(queries, prompt_keys, prompt_values, row_keys, row_values, 0.3)
    queries, prompt_keys, prompt_values, row_keys, row_values = (tensor.float() for tensor in inputs(SHAPES[0], dtype))
    exact, exact_mass = attend_rows(queries, prompt_keys, prompt_values, row_keys, row_values, 0.3)
    assert (output.dtype, mass.dtype) == (dtype, torch.float32)
    # the same inputs, so only probabilities and output are rounded
    torch.testing.assert_close(output.float(), exact, rtol=2e-2, atol=2e-2)
    torch.testing.assert_close(mass, exact_mass)
