"""Without prefix cache and without overlap, a request is compacted into its own slots."""

import pytest

from tests.engine.client import assert_same, generate_together, request
from tests.engine.conftest import running, wait_for_free_slots
from tests.engine.reference import Eviction

NEW_TOKENS = 16
PLANS = (Eviction("window", 128), None, Eviction("streaming", 64), Eviction("fused", 80))


@pytest.fixture(scope="module")
def plain(model_path, adapter_folder, tmp_path_factory):
    engine_args = {"disable_radix_cache": True, "disable_overlap_schedule": True}
    variables = {"RUNTIME_ADAPTER_PATH": str(adapter_folder)}
    with running(model_path, tmp_path_factory.mktemp("trace"), engine_args, variables) as runtime:
        yield runtime.wait_ready()


def test_mixed_batch_equals_the_reference_and_gives_its_slots_back(plain, reference, text_ids):
    prompts = [text_ids[start : start + 350] for start in (300, 700, 1100, 1500)]
    answers = generate_together(
        plain, [request(ids, NEW_TOKENS, plan) for ids, plan in zip(prompts, PLANS, strict=True)]
    )
    for answer, ids, plan in zip(answers, prompts, PLANS, strict=True):
        assert_same(answer, reference.generate(ids, NEW_TOKENS, plan))
        if plan:
            assert answer.complete.kv.free_slots_after - answer.complete.kv.free_slots_before == 350 - plan.budget
    wait_for_free_slots(plain)
