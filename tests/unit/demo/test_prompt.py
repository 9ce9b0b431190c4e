from pathlib import Path

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from services.demo.prompt import EXPECTED, QUESTION, SOURCES, Prompt, build_prompt

CHAT_TEMPLATE = "{% for message in messages %}<{{ message.role }}>{{ message.content }}{% endfor %}<assistant>"


@pytest.fixture
def chat_model(tmp_path) -> Path:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"a": 0, "b": 1, "</s>": 2}, unk_token="a")), eos_token="</s>"
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(tmp_path)
    return tmp_path


def test_the_answer_lies_in_the_text_and_not_in_the_question(chat_model):
    text = build_prompt(chat_model, 1).text
    assert text.startswith("<user>")
    assert text.endswith(f"{QUESTION}<assistant>")
    assert text.count(EXPECTED) >= 1
    assert EXPECTED not in QUESTION


def test_every_source_is_in_the_text(chat_model):
    text = build_prompt(chat_model, 1).text
    for package, first_words, _ in SOURCES:
        assert first_words in text, package


def test_prompts_differ_in_the_first_line_only(chat_model):
    first, second = (build_prompt(chat_model, number).text.splitlines() for number in (1, 2))
    assert first[0] != second[0]
    assert first[1:] == second[1:]


def test_an_answer_is_read_up_to_its_first_end_token(chat_model):
    prompt: Prompt = build_prompt(chat_model, 1)
    assert prompt.read([0, 1, 2, 1, 2]) == prompt.read([0, 1])
