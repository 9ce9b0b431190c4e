"""lora_rows updates the given rows as a merged weight would, and no other row."""

import pytest
import torch

from scorer.kernels.lora_rows import lora_rows, lora_rows_triton, rows_of

FORMS = [lora_rows, lora_rows_triton]
# inputs, outputs, rank: exact blocks and tails
SIZES = [(128, 256, 16), (80, 100, 8), (257, 63, 3)]
RANGES = [(0, 1), (3, 35), (40, 43)]
ROWS = 50


def case(sizes, dtype, device):
    width, out, rank = sizes
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.randn(*shape, generator=generator).to(device, dtype)

    a, b = random(rank, width) / width**0.5, random(out, rank) / rank**0.5
    return random(ROWS, out), random(ROWS, width), a, b


@pytest.mark.parametrize("add", FORMS)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_given_rows_get_the_update_and_others_stay_exactly_as_they_were(add, sizes, dtype, device):
    output, inputs, a, b = case(sizes, dtype, device)
    rows = rows_of(RANGES, device)
    before, weight = output.clone(), 4.0 * b.double() @ a.double()
    add(output, inputs, a, b, rows, 4.0)
    expected = before[rows].double() + inputs[rows].double() @ weight.mT
    # float32 sums of some hundred terms, then one rounding to the dtype, half a unit in its last place
    rounding = torch.finfo(dtype).eps
    torch.testing.assert_close(output[rows].double(), expected, rtol=max(rounding, 1e-5), atol=1e-5)
    others = torch.ones(ROWS, dtype=torch.bool, device=device).index_fill(0, rows, False)
    assert torch.equal(output[others], before[others])


def test_padding_of_a_short_block_does_not_undo_the_update_of_row_0(device):
    output, inputs, a, b = case(SIZES[1], torch.float32, device)
    expected = output.clone()
    lora_rows(expected, inputs, a, b, rows_of([(0, 3)], device), 1.0)
    lora_rows_triton(output, inputs, a, b, rows_of([(0, 3)], device), 1.0)
    # sums of 80 terms in another order
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("add", FORMS)
def test_rows_that_are_left_out_may_hold_anything(add, device):
    output, inputs, a, b = case(SIZES[1], torch.float32, device)
    inputs[1:3] = torch.nan
    add(output, inputs, a, b, rows_of(RANGES, device), 1.0)
    assert output.isfinite().all()


def test_kernel_writes_into_a_slice_of_a_packed_output(device):
    _, inputs, a, b = case(SIZES[1], torch.float32, device)
    packed = torch.zeros(ROWS, 300, device=device)
    expected = packed.clone()
    lora_rows(expected[:, 100:200], inputs, a, b, rows_of(RANGES, device), 1.0)
    lora_rows_triton(packed[:, 100:200], inputs, a, b, rows_of(RANGES, device), 1.0)
    # sums of 80 terms in another order
    torch.testing.assert_close(packed, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("add", FORMS)
def test_no_rows_change_nothing(add, device):
    output, inputs, a, b = case(SIZES[1], torch.float32, device)
    before = output.clone()
    add(output, inputs, a, b, rows_of([], device), 1.0)
    assert torch.equal(output, before)
