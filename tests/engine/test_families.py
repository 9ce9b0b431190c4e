"""The method is not SmolLM2's alone: the same equality on random Mistral, Qwen2 and Qwen3 models."""

import random
from dataclasses import dataclass

import pytest

from tests.engine.adapters import random_adapter, weights_of
from tests.engine.client import Answer, assert_same, generate_together, request
from tests.engine.conftest import Runtime, running, wait_for_free_slots
from tests.engine.families import CONFIGS, make_model
from tests.engine.reference import Eviction, Reference

NEW_TOKENS = 16
PLANS = (
    Eviction("lookahead", 64),
    Eviction("fused", 64),
    Eviction("window", 96),
    None,
    Eviction("lookahead", 128, sinks=0, recent=8),
    Eviction("fused", 100),
)


# without overlap SGLang leaves sampled tokens where they are
ENGINE_ARGS = {"mistral": {"disable_radix_cache": True, "disable_overlap_schedule": True}}


@dataclass(frozen=True)
class Family:
    runtime: Runtime
    reference: Reference


@pytest.fixture(scope="module", params=CONFIGS)
def family(request, model_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    model = make_model(request.param, model_path, folder / "model")
    adapter = random_adapter(model, folder / "adapter")
    variables = {"RUNTIME_ADAPTER_PATH": str(adapter)}
    with running(model, folder / "trace", ENGINE_ARGS.get(request.param, {}), variables) as runtime:
        yield Family(runtime.wait_ready(), Reference(model, weights_of(adapter, model)))


def test_batch_of_policies_equals_the_reference_and_needs_the_adapter(family):
    chance = random.Random(0)
    prompts = [[chance.randrange(3, 49000) for _ in range(length)] for length in (200, 230, 340, 150, 260, 210)]
    answers: list[Answer] = generate_together(
        family.runtime, [request(ids, NEW_TOKENS, plan) for ids, plan in zip(prompts, PLANS, strict=True)]
    )
    for answer, ids, plan in zip(answers, prompts, PLANS, strict=True):
        assert_same(answer, family.reference.generate(ids, NEW_TOKENS, plan))
    without_lora, _ = family.reference.without_lora().generate(prompts[0], NEW_TOKENS, PLANS[0])
    assert without_lora != answers[0].tokens
    wait_for_free_slots(family.runtime)
