"""Attention of a response on its prompt, against transformers' own forward pass over both."""

from typing import Any

import pytest
import torch

from scorer.training import ground_truth as module
from scorer.training.ground_truth import ground_truth
from tests.unit.scorer.training.conftest import PROMPT_TOKENS

# as in test_rows_forward.py
CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-6}
RESPONSE_TOKENS = 21


def response(case):
    ids = torch.randint(0, 97, (RESPONSE_TOKENS,), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        out = case.hf_model(torch.cat([case.ids, ids])[None], output_attentions=True)
    return ids, torch.cat(out.attentions)[:, :, PROMPT_TOKENS:, :PROMPT_TOKENS]


# all rows in one block, a block with a tail, one row at a time
@pytest.mark.parametrize("block_rows", [64, 8, 1])
def test_mean_and_maximum_are_those_of_a_full_forward(case, block_rows, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_ROWS", block_rows)
    ids, expected = response(case)
    truth = ground_truth(case.model.frozen, case.prompt, ids)
    torch.testing.assert_close(truth.mean, expected.mean(2), **CLOSE)
    torch.testing.assert_close(truth.max, expected.amax(2), **CLOSE)
    assert not truth.mean.requires_grad


def test_empty_response_is_refused(llama):
    with pytest.raises(ValueError, match="response_ids: is empty"):
        ground_truth(llama.model.frozen, llama.prompt, torch.tensor([], dtype=torch.int64))
