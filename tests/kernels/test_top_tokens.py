"""top_tokens keeps the highest scores, earlier tokens of equal ones, and the protected ones; both forms are exact."""

import pytest
import torch

from scorer.kernels.top_tokens import top_tokens, top_tokens_triton

FORMS = [top_tokens, top_tokens_triton]
# tokens, count, sinks, recent
CASES = [(1, 1, 0, 0), (5, 3, 1, 1), (63, 10, 4, 6), (100, 100, 0, 0), (257, 32, 0, 32), (5000, 300, 4, 32)]


def scores_of(kind, tokens):
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(2, 3, tokens, generator=generator)
    return {
        "all signs": scores,
        "many equal": (scores * 3).round() / 8,
        "all equal": torch.zeros_like(scores),
        # as mass is: positive, and many values that differ in the last bits only
        "tiny": 1e-30 + scores.abs() * 1e-36,
    }[kind]


def expected(scores, count, sinks, recent):
    """By a stable sort of Python's, one head after the other."""
    tokens = scores.shape[-1]
    protected = {*range(sinks), *range(tokens - recent, tokens)}
    heads = []
    for head in scores.flatten(0, 1).tolist():
        ranks = [(token not in protected, -score, token) for token, score in enumerate(head)]
        heads.append(sorted(token for *_, token in sorted(ranks)[:count]))
    return torch.tensor(heads).view(*scores.shape[:-1], count)


@pytest.mark.parametrize("top", FORMS)
@pytest.mark.parametrize("kind", ["all signs", "many equal", "all equal", "tiny"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_positions_are_those_of_a_stable_sort(top, kind, case, device):
    tokens, *limits = case
    scores = scores_of(kind, tokens)
    # positions: exact
    assert torch.equal(top(scores.to(device), *limits).cpu(), expected(scores, *limits))


@pytest.mark.parametrize("top", FORMS)
def test_zero_equals_minus_zero(top, device):
    scores = torch.tensor([[[-0.0, 0.0, -0.0, 1.0]]], device=device)
    assert top(scores, 2, 0, 0).tolist() == [[[0, 3]]]


@pytest.mark.parametrize("top", FORMS)
def test_scores_that_share_memory_are_read_as_they_are(top, device):
    scores = torch.arange(9.0, device=device).expand(2, 3, -1)
    assert top(scores, 3, 1, 0).tolist() == [[[0, 7, 8]] * 3] * 2
