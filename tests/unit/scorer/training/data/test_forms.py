from random import Random

import pytest

from scorer.training.data.families.base import Task
from scorer.training.data.forms import PHRASINGS, prompt_text, templated, token_ids, wrap
from scorer.training.data.sample import Answer, Form, Message, Sample, Split

TASK = Task("The door is green.", "Which colour has the door?", Answer(("green",)))
DRAWS = range(60)


def prompts(form: Form, split: Split, tokenizer, task: Task = TASK) -> list[str]:
    return [wrap(task, form, split, Random(seed), tokenizer) for seed in DRAWS]


@pytest.mark.parametrize("split", PHRASINGS)
@pytest.mark.parametrize("form", ["templated", "raw", "cut"])
def test_context_and_question_are_whole_in_every_form(form, split, tokenizer):
    for prompt in prompts(form, split, tokenizer):
        assert TASK.context in prompt
        assert TASK.question in prompt


def test_a_templated_prompt_is_the_whole_template_up_to_the_answer(tokenizer):
    for prompt in prompts("templated", "train", tokenizer):
        assert prompt.startswith("<system>")
        assert prompt.endswith("</s><assistant>")


def test_a_raw_prompt_has_nothing_of_the_template(tokenizer):
    assert not any("<" in prompt for prompt in prompts("raw", "train", tokenizer))


def test_a_cut_prompt_lacks_its_beginning_or_its_end_or_both(tokenizer):
    whole = [(p.startswith("<system>"), p.endswith("<assistant>")) for p in prompts("cut", "train", tokenizer)]
    assert set(whole) == {(True, False), (False, True), (False, False)}


def test_a_cut_leaves_whole_what_was_asked_even_when_the_template_adds_nothing():
    class Bare:
        def apply_chat_template(self, conversation, *, tokenize, add_generation_prompt):
            return conversation[-1]["content"]

    for prompt in prompts("cut", "train", Bare()):
        assert TASK.question in prompt


def test_endings_are_many_in_training_and_not_those_of_the_held_out_split(tokenizer):
    train, held_out = PHRASINGS["train"], PHRASINGS["held_out"]
    assert len({prompt[-6:] for prompt in prompts("raw", "train", tokenizer)}) >= 5
    assert not set(train.endings) & set(held_out.endings)


def test_a_raw_prompt_ends_with_the_familys_own_cue_where_it_has_one(tokenizer):
    own = Task("c", "q?", None, cue="The colour is")
    none = Task("c", "Type:", None, cue="")
    assert all(prompt.endswith("q?\nThe colour is") for prompt in prompts("raw", "held_out", tokenizer, own))
    assert all(prompt.endswith("Type:") for prompt in prompts("raw", "held_out", tokenizer, none))


def test_a_chat_is_templated_up_to_the_answer_or_gone_on_with(tokenizer):
    asks = Sample("user", "user", "user", "templated", 0, messages=(Message("user", "hi"),))
    said = Sample("user", "user", "user", "templated", 0, messages=(*asks.messages, Message("assistant", "hello")))
    assert prompt_text(asks, tokenizer) == templated(tokenizer, "", "hi")
    assert prompt_text(said, tokenizer).endswith("<assistant>hello</s>")


def test_only_a_raw_prompt_gets_the_tokenizers_first_token(tokenizer):
    raw = Sample("user", "user", "user", "raw", 0, prompt="one two")
    cut = Sample("user", "user", "user", "cut", 0, prompt="one two")
    assert token_ids(raw, tokenizer) == [1, *token_ids(cut, tokenizer)]
