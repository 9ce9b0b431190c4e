"""Rows behind caches are what transformers computes, whatever shares their batch."""

import pytest
import torch

from scorer.evaluation.caches import Caches, kept_of, whole
from scorer.evaluation.decode import greedy
from scorer.evaluation.forced import Continuation, predict
from scorer.evaluation.forward import append_rows, logits, prefill
from scorer.training.responses import greedy_responses


def every_position(prompt):
    return torch.arange(prompt.tokens).expand(len(prompt.keys), prompt.keys[0].shape[1], -1)


@torch.no_grad()
def test_an_answer_behind_a_cache_that_keeps_everything_has_the_logits_of_transformers(bench):
    prompt, first = prefill(bench.case.model.frozen, bench.case.ids)
    answer, response = torch.tensor([3, 4, 5]), torch.tensor([7, 8])
    text = Continuation(prompt.tokens, first, answer, response, prompt.ids[-1])

    found = predict(bench.case.model.frozen, [kept_of(prompt, every_position(prompt))], text)

    for tokens, predicted in ((answer, found.answer), (response, found.response)):
        ids = torch.cat([prompt.ids, tokens])[None]
        expected = bench.case.hf_model(ids).logits[0, prompt.tokens - 1 : -1]
        torch.testing.assert_close(predicted[0], expected, rtol=1e-4, atol=1e-4)
    assert found.replayed is not None
    # the last prompt token sees what it saw in the prefill
    torch.testing.assert_close(found.replayed[0], first, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_shorter_contexts_in_a_batch_are_as_they_would_be_alone(llama):
    frozen = llama.case.model.frozen
    prompts = [each.prompt for each in llama.examined]
    ids, positions = torch.tensor([[3, 4], [5, 6]]), torch.tensor([[40, 41], [35, 36]])

    together = append_rows(frozen, Caches([whole(prompt) for prompt in prompts], room=2), ids, positions)

    for i, prompt in enumerate(prompts):
        alone = append_rows(frozen, Caches([whole(prompt)], room=2), ids[i : i + 1], positions[i : i + 1])
        torch.testing.assert_close(together[i], alone[0], rtol=1e-4, atol=1e-5)


def test_greedy_answers_are_those_that_training_decodes(bench):
    ids = [sample.ids for sample in bench.samples]
    expected = greedy_responses(bench.case.model.frozen, ids, 6)
    assert [each.response.tolist() for each in bench.examined] == [response.tolist() for response in expected]


def test_an_answer_stops_before_its_end_and_is_never_empty(llama):
    sample = llama.examined[0]
    frozen, tokens = llama.case.model.frozen, sample.response.tolist()

    def answer(ends):
        caches = Caches([whole(sample.prompt)], room=6)
        return greedy(frozen, caches, sample.response[:1], torch.tensor([sample.prompt.tokens]), 6, ends)[0].tolist()

    assert answer({tokens[0]}) == tokens[:1]
    last = tokens[-1]
    assert answer({last}) == tokens[: max(1, tokens.index(last))]


@torch.no_grad()
def test_fewer_layers_are_a_model_cut_short(llama):
    frozen, prompt = llama.case.model.frozen, llama.examined[0].prompt
    found = append_rows(
        frozen, Caches([whole(prompt, 1)], room=1), torch.tensor([[3]]), torch.tensor([[prompt.tokens]])
    )

    ids = torch.cat([prompt.ids, torch.tensor([3])])[None]
    states = llama.case.hf_model(ids, output_hidden_states=True).hidden_states
    expected = llama.case.hf_model.lm_head(llama.case.hf_model.model.norm(states[1][0, -1]))
    torch.testing.assert_close(logits(frozen, found)[0, 0], expected, rtol=1e-4, atol=1e-4)


def test_rows_without_values_cannot_join_a_cache(llama):
    from scorer.training.attend import Heads

    caches = Caches([whole(llama.examined[0].prompt)], room=1)
    heads = Heads(torch.zeros(1, 4, 16), torch.zeros(1, 2, 16), None, 1.0)
    with pytest.raises(ValueError, match="heads.values: are missing"):
        caches.attend(0, heads, caches.mask(1))
