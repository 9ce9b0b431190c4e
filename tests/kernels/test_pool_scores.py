"""pool_scores is a mean over real neighbours; its kernel against the reference."""

import pytest
import torch

from scorer.kernels.pool_scores import pool_scores, pool_scores_triton


@pytest.mark.parametrize("tokens", [1, 5, 63, 100])
@pytest.mark.parametrize("width", [1, 3, 7])
def test_score_is_the_mean_over_the_tokens_around_it(tokens, width):
    scores = torch.rand(2, 3, tokens, generator=torch.Generator().manual_seed(0))
    pooled = pool_scores(scores, width)
    for token in range(tokens):
        around = scores[..., max(0, token - width // 2) : token + width // 2 + 1]
        torch.testing.assert_close(pooled[..., token], around.mean(-1))


@pytest.mark.parametrize("tokens", [1, 5, 63, 100, 257, 1025])
@pytest.mark.parametrize("width", [1, 5, 31])
def test_kernel_gives_what_the_reference_gives(tokens, width, device):
    scores = torch.rand(2, 3, tokens, generator=torch.Generator().manual_seed(0))
    # at most 31 positive terms, added up in another order
    torch.testing.assert_close(
        pool_scores_triton(scores.to(device), width).cpu(), pool_scores(scores, width), rtol=1e-5, atol=0
    )


def test_kernel_reads_no_neighbour_beyond_the_slice_it_is_given(device):
    scores = torch.rand(2, 3, 130, generator=torch.Generator().manual_seed(0))
    scores[..., 100:] = torch.nan
    before = scores[..., :100]
    torch.testing.assert_close(
        pool_scores_triton(before.to(device), 7).cpu(), pool_scores(before, 7), rtol=1e-5, atol=0
    )
    assert pool_scores_triton(scores.to(device)[..., :100], 7).isfinite().all()
