"""Which first report proves that an engine evicts."""

import pytest

from services.runtime.backends.sglang.warm_up import problem, warm_up_request
from services.runtime.eviction import EvictionReport


@pytest.mark.parametrize("page_tokens", [1, 64, 256])
def test_prompt_leaves_whole_pages_to_evict(page_tokens):
    asked = warm_up_request("fused", page_tokens)
    assert asked.plan and asked.plan.policy == "fused"
    in_pages = -(-asked.plan.budget_tokens // page_tokens) * page_tokens
    assert in_pages + page_tokens <= len(asked.prompt_ids)


def test_only_a_report_of_an_eviction_is_a_proof():
    assert problem("window", EvictionReport(64)) == ""
    assert "without an eviction report" in problem("window", None)
    assert problem("fused", EvictionReport(256, skipped="scoring failed")).endswith("first prompt: scoring failed")
