"""Responses and ground truth of samples, against one prompt at a time and transformers' own generation."""

import pytest
import torch
from transformers import GenerationConfig

from scorer.training.ground_truth import ground_truth
from scorer.training.responses import greedy_responses
from scorer.training.targets import TRUTH_DTYPE, Samples

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


def test_truth_is_that_of_each_sample_rounded(llama, prompts):
    responses = greedy_responses(llama.model.frozen, prompts, MAX_TOKENS)
    samples = Samples.make(llama.model, prompts, responses)
    for i, (ids, response) in enumerate(zip(prompts, responses, strict=True)):
        expected = ground_truth(llama.model.frozen, llama.model.prefill(ids), response)
        assert samples[i].truth.mean.dtype == TRUTH_DTYPE
        torch.testing.assert_close(samples.truth(i).mean, expected.mean, rtol=2**-8, atol=0)
        torch.testing.assert_close(samples.truth(i).max, expected.max, rtol=2**-8, atol=0)


def test_prompts_that_do_not_fit_are_computed_again_with_the_same_bits(llama, prompts):
    responses = greedy_responses(llama.model.frozen, prompts, MAX_TOKENS)
    # 3 layers of keys and values, 2 heads of 16 float32
    two = (LENGTHS[0] + LENGTHS[1]) * 3 * 2 * 2 * 16 * 4
    bounded = Samples.make(llama.model, prompts, responses, cache_bytes=two)
    roomy = Samples.make(llama.model, prompts, responses)
    # of the later ones none finds room
    assert (bounded.kept_prompts, roomy.kept_prompts, len(bounded)) == (2, 4, 4)
    for i in range(4):
        ours, theirs = bounded.prompt(i), roomy.prompt(i)
        assert all(map(torch.equal, (*ours.keys, *ours.values), (*theirs.keys, *theirs.values)))


def test_progress_counts_samples(llama, prompts):
    seen: list[int] = []
    Samples.make(llama.model, prompts, [prompt[:2] for prompt in prompts], on_done=seen.append)
    assert seen == [1, 1, 1, 1]
