"""The fake engine behaves as a test expects of a real one."""

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace

import pytest

from services.runtime.backends.base import EngineFailed, EngineOutput, EngineRequest, Finish
from services.runtime.backends.fake import FakeBackend
from services.runtime.eviction import EvictionPlan, EvictionReport
from services.runtime.settings import RuntimeSettings
from services.shared.generation import Sampling

PROMPT = tuple(range(1, 101))


async def start(tiny_model, **engine_args) -> FakeBackend:
    settings = RuntimeSettings(backend="fake", model_path=tiny_model, engine_args=engine_args)
    return await FakeBackend.start(settings)


def request(prompt=PROMPT, budget=None, request_id="r", **sampling) -> EngineRequest:
    plan = EvictionPlan("window", {}, budget, sink_tokens=4, recent_tokens=8) if budget else None
    return EngineRequest(request_id, prompt, Sampling(**{"max_new_tokens": 5} | sampling), plan)


async def answer(backend, asked) -> list[EngineOutput]:
    return [output async for output in backend.generate(asked)]


def finish(outputs: list[EngineOutput]) -> Finish:
    """The end of the answer, which only the last output carries."""
    (end,) = [output.finish for output in outputs if output.finish]
    assert outputs[-1].finish is end
    return end


async def test_same_prompt_gets_the_same_answer_and_another_prompt_another(tiny_model):
    backend = await start(tiny_model)
    first, second, other = [
        [output.token_ids for output in await answer(backend, request(prompt))]
        for prompt in (PROMPT, PROMPT, PROMPT[1:])
    ]
    assert first == second != other
    assert len(first) == 5


async def test_budget_shrinks_what_the_request_holds(tiny_model):
    backend = await start(tiny_model)
    async with aclosing(backend.generate(request(budget=30))) as outputs:
        await anext(outputs)
        during = await backend.load()
    after = await backend.load()
    assert during.total_slots - during.free_slots == 30 + 5
    assert after.free_slots == after.total_slots


async def test_prompt_within_its_budget_is_reported_as_skipped(tiny_model):
    outputs = await answer(await start(tiny_model), request(budget=100))
    assert finish(outputs).eviction == EvictionReport(100, skipped="the prompt is not longer than its budget")


@pytest.mark.parametrize(
    ("exponent", "kept", "first_word"), [(0.1, range(30, 60), "retained"), (0.9, [60], "the"), (0.0, [12], "retained")]
)
async def test_mass_is_held_by_fewer_tokens_of_an_easy_prompt_and_by_the_cap_of_a_hard_one(
    tiny_model, exponent, kept, first_word
):
    backend = await start(tiny_model, mass_exponent=exponent)
    asked = request(budget=60)
    assert asked.plan
    outputs = await answer(backend, replace(asked, plan=replace(asked.plan, min_retained_mass=0.9)))
    report = finish(outputs).eviction
    assert report and report.kept_tokens in kept
    assert report.free_slots_after - report.free_slots_before == len(PROMPT) - report.kept_tokens
    assert report.choice.startswith(first_word)
    assert report.retained_mass == pytest.approx((report.kept_tokens / len(PROMPT)) ** exponent)


async def test_prompt_whose_mass_no_budget_holds_stays_whole(tiny_model):
    asked = request(budget=len(PROMPT))
    assert asked.plan
    outputs = await answer(await start(tiny_model), replace(asked, plan=replace(asked.plan, min_retained_mass=1.0)))
    report = finish(outputs).eviction
    assert report and report.kept_tokens == len(PROMPT)
    assert "so the prompt of 100 tokens is kept whole" in report.skipped


async def test_policy_that_looks_at_nothing_reports_no_mass(tiny_model):
    asked = request(budget=60)
    assert asked.plan
    outputs = await answer(await start(tiny_model), replace(asked, plan=replace(asked.plan, policy="streaming")))
    report = finish(outputs).eviction
    assert report and report.retained_mass is None


async def test_text_ends_before_the_stop_string(tiny_model):
    backend = await start(tiny_model)
    third = (await answer(backend, request()))[2].text
    stopped = await answer(backend, request(stop=(third.strip(),)))
    assert (finish(stopped).reason, finish(stopped).matched_stop) == ("stop", third.strip())
    assert third not in "".join(output.text for output in stopped)
    assert finish(stopped).completion_tokens == 3


async def test_answer_ends_at_a_stop_token(tiny_model):
    backend = await start(tiny_model)
    second = (await answer(backend, request()))[1].token_ids[0]
    stopped = await answer(backend, request(stop_token_ids=(second,)))
    assert (finish(stopped).reason, finish(stopped).matched_stop) == ("stop", str(second))


async def test_requests_wait_for_slots_first_come_first_served(tiny_model):
    backend = await start(tiny_model, total_slots=120, tokens_per_second=1e6)
    order = []

    async def serve(name: str) -> None:
        await answer(backend, request(request_id=name))
        order.append(name)

    async with aclosing(backend.generate(request())) as outputs:
        await anext(outputs)
        waiting = [asyncio.create_task(serve(name)) for name in "abc"]
        await asyncio.sleep(0)
        assert (await backend.load()).queued_requests == 3
    await asyncio.gather(*waiting)
    assert order == ["a", "b", "c"]


async def test_request_larger_than_the_pool_is_aborted_instead_of_waiting_forever(tiny_model):
    outputs = await answer(await start(tiny_model, total_slots=50), request())
    assert finish(outputs).reason == "abort"


@pytest.mark.parametrize(
    ("engine_args", "sentence"), [({"speed": 1}, "speed"), ({"start_error": "no memory"}, "no memory")]
)
async def test_bad_arguments_and_rehearsed_errors_fail_the_start(tiny_model, engine_args, sentence):
    with pytest.raises(EngineFailed, match=sentence):
        await start(tiny_model, **engine_args)


async def test_incomplete_model_configuration_fails_the_start(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(EngineFailed, match="num_attention_heads"):
        await start(tmp_path)
