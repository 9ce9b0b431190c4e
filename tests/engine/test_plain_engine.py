"""Without prefix cache and overlap, a request is compacted into its own slots; without an adapter, by `window`."""

import pytest

from protos.runtime.v1 import runtime_pb2
from scorer.adapters.shapes import EMBEDDINGS
from tests.engine.adapters import random_adapter
from tests.engine.client import assert_same, generate, generate_together, request
from tests.engine.conftest import running, wait_for_free_slots
from tests.engine.reference import Eviction

NEW_TOKENS = 16
PLANS = (Eviction("window", 128), None, Eviction("streaming", 64))


@pytest.fixture(scope="module")
def plain(model_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    engine_args = {"disable_radix_cache": True, "disable_overlap_schedule": True}
    # everything that is checked before the engine starts is right
    adapter = random_adapter(model_path, folder / "adapter", poison=EMBEDDINGS)
    with running(model_path, folder / "trace", engine_args, {"RUNTIME_ADAPTER_PATH": str(adapter)}) as runtime:
        yield runtime.wait_ready()


def test_mixed_batch_equals_the_reference_and_gives_its_slots_back(plain, reference, text_ids):
    prompts = [text_ids[start : start + 350] for start in (300, 700, 1100)]
    answers = generate_together(
        plain, [request(ids, NEW_TOKENS, plan) for ids, plan in zip(prompts, PLANS, strict=True)]
    )
    for answer, ids, plan in zip(answers, prompts, PLANS, strict=True):
        assert_same(answer, reference.generate(ids, NEW_TOKENS, plan))
        if plan:
            assert answer.complete.kv.free_slots_after - answer.complete.kv.free_slots_before == 350 - plan.budget
    wait_for_free_slots(plain)


def test_adapter_that_the_scheduler_cannot_load_leaves_window_and_says_why(plain, reference, text_ids):
    ids = text_ids[1500:1850]
    answer = generate(plain, ids, NEW_TOKENS, Eviction("fused", 80))
    assert_same(answer, reference.generate(ids, NEW_TOKENS, Eviction("window", 80)))
    assert (answer.complete.kv.policy, answer.complete.kv.adapter) == ("window", "")
    why = answer.complete.kv.reasons[0]
    assert why.startswith("window in place of fused, for there is no adapter")
    assert f"{EMBEDDINGS}: holds values that are not finite" in why
    info = plain.runtime.GetModelInfo(runtime_pb2.GetModelInfoRequest())
    assert not info.HasField("adapter") and "fused" not in info.policies
