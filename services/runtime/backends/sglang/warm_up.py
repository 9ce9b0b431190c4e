"""The first prompts of an engine, which prove that eviction works before a caller relies on it."""

from __future__ import annotations

from services.runtime.backends.base import EngineRequest
from services.runtime.eviction import EvictionPlan, EvictionReport
from services.shared.generation import Sampling

# the prompt is this many times its budget, so that any page size leaves something to evict
PROMPT_FACTOR = 4
BUDGET_TOKENS = 64


def warm_up_request(policy: str, page_tokens: int) -> EngineRequest:
    """A prompt that `policy` is to cut down to BUDGET_TOKENS in whole pages."""
    plan = EvictionPlan(policy, {}, BUDGET_TOKENS, sink_tokens=4, recent_tokens=32)
    sampling = Sampling(max_new_tokens=2, temperature=0, ignore_eos=True)
    tokens = PROMPT_FACTOR * max(BUDGET_TOKENS, page_tokens)
    return EngineRequest(f"warm-up-{policy}", tuple(range(100, 100 + tokens)), sampling, plan)


def problem(policy: str, report: EvictionReport | None) -> str:
    """Why this report does not prove that `policy` works; empty when it does."""
    if report is None:
        return "SGLang answered without an eviction report: the plugin is not active in its scheduler"
    if report.skipped:
        return f"eviction by {policy} did not work on a first prompt: {report.skipped}"
    return ""
