"""Responses, ground truth and votes of samples, against one prompt at a time and transformers' own generation."""

from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from scorer.training.ground_truth import ground_truth
from scorer.training.prepared import OtherSamples, TrainingPrompt, prepare
from scorer.training.responses import greedy_responses
from scorer.training.rows_forward import by_kv_head
from tests.unit.scorer.training.conftest import random_prompts, recipe

LENGTHS = (23, 40, 31, 9)
MAX_TOKENS = 12


@pytest.fixture
def prompts():
    generator = torch.Generator().manual_seed(5)
    return [torch.randint(0, 97, (length,), generator=generator) for length in LENGTHS]


@pytest.fixture
def end_token(llama, prompts):
    """A token with which some responses end early: named by the model while a test runs."""
    config = llama.hf_model.generation_config
    before, config.eos_token_id = config.eos_token_id, None
    config.eos_token_id = int(greedy_responses(llama.model.frozen, prompts[:1], MAX_TOKENS)[0][4])
    yield config.eos_token_id
    config.eos_token_id = before


def generated(case, ids, end):
    config = GenerationConfig(max_new_tokens=MAX_TOKENS, do_sample=False, eos_token_id=end, pad_token_id=0)
    return case.hf_model.generate(ids[None], attention_mask=torch.ones_like(ids[None]), generation_config=config)[
        0, len(ids) :
    ]


def test_responses_are_those_of_generate_one_prompt_at_a_time(case, prompts):
    case.hf_model.generation_config.eos_token_id = None
    seen: list[int] = []
    responses = greedy_responses(case.model.frozen, prompts, MAX_TOKENS, batch=3, on_done=seen.append)
    for ids, response in zip(prompts, responses, strict=True):
        assert torch.equal(response, generated(case, ids, None))
    assert seen == [3, 1]


def test_response_stops_before_the_end_token(llama, prompts, end_token):
    for ids, response in zip(prompts, greedy_responses(llama.model.frozen, prompts, MAX_TOKENS), strict=True):
        whole = generated(llama, ids, end_token)
        ends = (whole == end_token).nonzero()
        assert torch.equal(response, whole[: max(1, int(ends[0]))] if len(ends) else whole)
        assert 1 <= len(response) <= MAX_TOKENS
        assert end_token not in response[1:]


def test_response_of_an_end_token_alone_keeps_it(llama, prompts, end_token):
    first = greedy_responses(llama.model.frozen, prompts[:1], MAX_TOKENS)[0]
    prompt = torch.cat([prompts[0], first])
    assert greedy_responses(llama.model.frozen, [prompt], MAX_TOKENS)[0].tolist() == [end_token]


ROUNDED: Any = {"rtol": 2**-8, "atol": 0.0}


def test_truth_and_votes_are_those_of_each_sample_rounded(llama, tmp_path):
    prompts = random_prompts(LENGTHS, 5)
    samples = prepare(llama.model, prompts, tmp_path, recipe())
    responses = greedy_responses(llama.model.frozen, [prompt.ids for prompt in prompts], 8)
    assert len(samples) == 4
    for i, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        prefilled = llama.model.prefill(prompt.ids)
        expected = ground_truth(llama.model.frozen, prefilled, response)
        torch.testing.assert_close(samples.truth(i).mean, expected.mean, **ROUNDED)
        torch.testing.assert_close(samples.truth(i).max, expected.max, **ROUNDED)
        seen = llama.model.mass(prefilled, window=8, first_token=int(response[0]))
        torch.testing.assert_close(samples.votes(i).window, by_kv_head(seen["window"], 2), **ROUNDED)
        torch.testing.assert_close(samples.votes(i).first_token, by_kv_head(seen["first"], 2), **ROUNDED)


def test_reference_answers_raise_the_maximum_where_there_are_some(llama, tmp_path):
    prompts = random_prompts(LENGTHS, 5)
    samples = prepare(llama.model, prompts, tmp_path, recipe())
    for i, prompt in enumerate(prompts):
        own, both = samples.truth(i), samples.truth(i, with_reference=True)
        assert torch.equal(both.mean, own.mean)
        if prompt.reference is None:
            assert torch.equal(both.max, own.max)
        else:
            answer = ground_truth(llama.model.frozen, llama.model.prefill(prompt.ids), prompt.reference)
            torch.testing.assert_close(both.max, torch.maximum(own.max, answer.max), **ROUNDED)
            assert not torch.equal(both.max, own.max)


def test_prompts_that_do_not_fit_are_computed_again_with_the_same_bits(llama, tmp_path):
    prompts = random_prompts(LENGTHS, 5)
    # 3 layers of keys and values, 2 heads of 16 float32
    two = (LENGTHS[0] + LENGTHS[1]) * 3 * 2 * 2 * 16 * 4
    bounded = prepare(llama.model, prompts, tmp_path / "bounded", recipe(cache_bytes=two))
    roomy = prepare(llama.model, prompts, tmp_path / "roomy", recipe())
    for _ in range(2):
        for i in range(4):
            ours, theirs = bounded.prompt(i), roomy.prompt(i)
            assert all(map(torch.equal, (*ours.keys, *ours.values), (*theirs.keys, *theirs.values)))
    # of the later ones none finds room
    assert (bounded.kept_prompts, roomy.kept_prompts) == (2, 4)


def test_what_is_there_is_not_computed_again(llama, tmp_path):
    prompts = random_prompts(LENGTHS, 5)
    seen: list[int] = []
    prepare(llama.model, prompts, tmp_path, recipe(), seen.append)
    assert seen == [4]
    files = sorted(tmp_path.glob("*.safetensors"))
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in files}
    files[2].unlink()
    prepare(llama.model, prompts, tmp_path, recipe())
    for file in files:
        content, changed = before[file.name]
        assert file.read_bytes() == content
        assert (file.stat().st_mtime_ns == changed) == (file != files[2])


def test_samples_of_other_prompts_or_settings_are_refused_by_name(llama, tmp_path):
    prepare(llama.model, random_prompts(LENGTHS, 5), tmp_path, recipe())
    with pytest.raises(OtherSamples, match="prompts: 'others', prepared with 'some'"):
        prepare(llama.model, random_prompts(LENGTHS, 6), tmp_path, recipe(identity={"prompts": "others"}))


def test_empty_reference_is_none(llama, tmp_path):
    prompt = TrainingPrompt(random_prompts((30,), 1)[0].ids, torch.tensor([], dtype=torch.int64))
    samples = prepare(llama.model, [prompt], tmp_path, recipe())
    assert torch.equal(samples.truth(0, with_reference=True).max, samples.truth(0).max)
