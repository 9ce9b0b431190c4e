"""A request that is taken out of the batch and put back answers as if it never had been; any page size."""

import pytest

from scorer.policies import ADAPTER_POLICIES
from tests.engine.client import assert_same, finish, generate, generate_together, request
from tests.engine.conftest import running, wait_for_free_slots
from tests.engine.reference import Eviction

NEW_TOKENS = 24
PROMPT_TOKENS = 420
PAGE_TOKENS = 16
PLANS = (Eviction("window", 128), Eviction("streaming", 96), Eviction("window", 64, sinks=0))
STARTS = (300, 801, 1301)
# whichever request of a batch SGLang takes out, its policy is the one that is tested
ADAPTED = tuple((Eviction(name, 128), Eviction(name, 96), Eviction(name, 64, sinks=0)) for name in ADAPTER_POLICIES)

# of each, more than the floor and less than the cap; the last one's cap holds too little
CHOSEN = (
    Eviction("fused", 0, mass=0.85, page=PAGE_TOKENS),
    Eviction("window", 320, mass=0.9, page=PAGE_TOKENS),
    Eviction("lookahead", 96, mass=0.9, page=PAGE_TOKENS),
)


@pytest.fixture(scope="module")
def retracting(model_path, adapter_folder, tmp_path_factory):
    """An engine with pages that takes a request out of the batch at every fifth step."""
    variables = {
        "SGLANG_TEST_RETRACT": "true",
        "SGLANG_TEST_RETRACT_INTERVAL": "5",
        "RUNTIME_ADAPTER_PATH": str(adapter_folder),
    }
    engine_args = {"page_size": PAGE_TOKENS, "chunked_prefill_size": 20 * PAGE_TOKENS}
    with running(model_path, tmp_path_factory.mktemp("trace"), engine_args, variables) as runtime:
        yield runtime.wait_ready()
        wait_for_free_slots(runtime)


@pytest.mark.parametrize("plans", [PLANS, *ADAPTED, CHOSEN], ids=["window", *ADAPTER_POLICIES, "by mass"])
def test_kept_set_and_text_after_retractions_are_those_without(retracting, reference, text_ids, plans):
    # prompts of 421 tokens do not fill their last page
    prompts = [text_ids[start : start + PROMPT_TOKENS + start % 2] for start in STARTS]
    answers = generate_together(
        retracting, [request(ids, NEW_TOKENS, plan) for ids, plan in zip(prompts, plans, strict=True)]
    )
    assert sum(answer.complete.kv.retractions for answer in answers) >= 2
    for answer, ids, plan in zip(answers, prompts, plans, strict=True):
        assert_same(answer, reference.generate(ids, NEW_TOKENS, plan))


def test_budget_is_rounded_up_to_whole_pages(retracting, text_ids):
    kv = generate(retracting, text_ids[:PROMPT_TOKENS], 4, Eviction("window", 100)).complete.kv
    assert kv.kept_tokens == 112
    assert kv.budget_tokens == 100


def test_cancels_among_retractions_lose_no_slot(retracting, text_ids):
    calls = [
        retracting.generation.Generate(request(text_ids[start : start + 200], NEW_TOKENS, PLANS[start % 3]))
        for start in range(0, 240, 10)
    ]
    for number, call in enumerate(calls):
        if number % 2:
            assert len(finish(retracting, call).tokens) == NEW_TOKENS
        else:
            next(call)
            call.cancel()
    wait_for_free_slots(retracting)
