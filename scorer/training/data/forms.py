"""Prompts from tasks: inside the chat template, without one, or with a template that something cut.

What an adapter sees first is how a prompt ends. So layouts and endings are drawn, training has many, and the held-out
split has others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from scorer.training.data.families.base import Task
from scorer.training.data.sample import Answer, Form, Sample, Split

# an answer that goes on with a word needs a blank before it, one that goes on with a value does not
JOINS = tuple("\"'`([{<>=/\n\t ")


class ChatTokenizer(Protocol):
    """What we need of a tokenizer of transformers."""

    def apply_chat_template(self, conversation: Any, *, tokenize: bool, add_generation_prompt: bool) -> str: ...
    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]: ...


@dataclass(frozen=True)
class Phrasing:
    """The ways in which a split asks. `{c}` is the context, `{q}` the question."""

    layouts: tuple[str, ...]
    # after the question of a templated prompt
    requests: tuple[str, ...]
    # what a raw prompt ends with; unless the family has a cue of its own
    endings: tuple[str, ...]
    systems: tuple[str, ...]


PHRASINGS: dict[Split, Phrasing] = {
    "train": Phrasing(
        layouts=(
            "{c}\n\n{q}",
            "{c}\n\nQuestion: {q}",
            "Text:\n{c}\n\nQ: {q}",
            "{q}\n\n{c}\n\n{q}",
            "---\n{c}\n---\n{q}",
            "{q}\n\n{c}",
        ),
        requests=("", "", " Answer briefly.", " Be short.", " Only give the answer.", " Use the given text."),
        endings=("\nAnswer:", "\nA:", "\nThe answer is", " ->", "\n\n", "\nReply: ", "\nAssistant:", ""),
        systems=(
            "",
            "",
            "You are a careful assistant.",
            "Answer from the given text only.",
            "You are a search engine for documents.",
        ),
    ),
    "held_out": Phrasing(
        layouts=("{c}\n\n{q}", "Read this.\n\n{c}\n\n{q}"),
        requests=("",),
        endings=("\nResult:",),
        systems=("",),
    ),
}


def wrap(task: Task, form: Form, split: Split, rng: Random, tokenizer: ChatTokenizer) -> str:
    """The prompt text of a task in that form, with what `rng` draws for it."""
    phrasing = PHRASINGS[split]
    layout = rng.choice(phrasing.layouts)
    if form == "raw":
        content = layout.format(c=task.context, q=task.question).strip()
        ending = rng.choice(phrasing.endings) if task.cue is None else f"\n{task.cue}"
        return content + (ending if task.cue != "" else "")
    content = layout.format(c=task.context, q=task.question + rng.choice(phrasing.requests)).strip()
    text = templated(tokenizer, rng.choice(phrasing.systems), content)
    return text if form == "templated" else cut(text, content, rng)


def templated(tokenizer: ChatTokenizer, system: str, content: str) -> str:
    """One turn of a user as the model's chat template writes it, up to where the model answers."""
    chat = [{"role": "user", "content": content}]
    if system:
        chat.insert(0, {"role": "system", "content": system})
    return tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)


def cut(text: str, content: str, rng: Random) -> str:
    """`text` without its end, without its beginning or without both, as a mishap in serving leaves it.

    The end goes somewhere after `content`, the beginning somewhere before it; the whole of `content` stays.
    """
    begin = text.rindex(content)
    end = begin + len(content)
    where = rng.choice(("end", "beginning", "both"))
    first = rng.randint(1, begin) if where != "end" and begin else 0
    last = rng.randint(end, max(end, len(text) - 1)) if where != "beginning" else len(text)
    return text[first:last]


def prompt_text(sample: Sample, tokenizer: ChatTokenizer) -> str:
    """What the model reads: the sample's prompt, or its messages in the chat template."""
    if sample.prompt is not None:
        return sample.prompt
    chat = [{"role": turn.role, "content": turn.content} for turn in sample.messages]
    # a chat that ends with an answer is gone on with as it stands
    asks = sample.messages[-1].role != "assistant"
    return tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=asks)


def token_ids(sample: Sample, tokenizer: ChatTokenizer) -> list[int]:
    """The prompt's tokens. A template brings its own first token, a raw prompt gets the tokenizer's."""
    return tokenizer.encode(prompt_text(sample, tokenizer), add_special_tokens=sample.form == "raw")


def answer_text(prompt: str, answer: Answer) -> str:
    """The answer with the blank that the end of the prompt asks for."""
    return answer.text if prompt.endswith(JOINS) else f" {answer.text}"


def answer_ids(sample: Sample, tokenizer: ChatTokenizer) -> list[int]:
    """The expected answer's tokens as they would follow the prompt; none when no answer is known."""
    if sample.expected is None:
        return []
    text = answer_text(prompt_text(sample, tokenizer), sample.expected)
    return tokenizer.encode(text, add_special_tokens=False)


def forms_of(split: Split) -> Sequence[Form]:
    """The forms that a split is built in unless others are asked for."""
    return ("templated", "raw", "cut") if split == "train" else ("templated", "raw")
