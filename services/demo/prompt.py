"""A long prompt of real text with a question that only the text answers."""

from dataclasses import dataclass
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

# descriptions of packages that the lock pins, so every machine has the same words: package, first words, end
SOURCES = (("dill", "About Dill", "- ``objgraph``, **"), ("mpmath", "A Python library", None))
QUESTION = "Who is the main author of mpmath?"
# from the second text; asked without it, the model makes a name up
EXPECTED = "Fredrik Johansson"


@dataclass(frozen=True)
class Prompt:
    """What is sent, and how to read what comes back."""

    text: str
    end_token_id: int
    tokenizer: Any

    def read(self, token_ids: list[int]) -> str:
        """The answer in `token_ids`: up to the model's first end token, which need not be the last token."""
        if self.end_token_id in token_ids:
            token_ids = token_ids[: token_ids.index(self.end_token_id)]
        return str(self.tokenizer.decode(token_ids)).strip()


def build_prompt(model_path: Path, number: int) -> Prompt:
    """The prompt in the model's chat template. Another `number` changes the first line, so no prefix is shared."""
    # seconds of imports; AutoTokenizer would import torch too
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(model_path)
    # the empty part sets the question apart; without it a model this small is less sure of the name
    content = "\n\n".join([f"Text {number}:", *(_excerpt(*source) for source in SOURCES), "", QUESTION])
    chat = [{"role": "user", "content": content}]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    return Prompt(text, tokenizer.eos_token_id, tokenizer)


def _excerpt(package: str, first_words: str, end: str | None) -> str:
    """The part of a package's description from `first_words` to `end`, or to its own end."""
    text = str(metadata(package).json["description"])
    start = text.index(first_words)
    return text[start : text.index(end, start) if end else None].strip()
