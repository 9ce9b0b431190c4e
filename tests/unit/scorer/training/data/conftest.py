"""A tokenizer whose tokens are words and single marks, with a chat template."""

import re

import pytest


class WordTokenizer:
    """What forms.py needs of a tokenizer, without a vocabulary."""

    def apply_chat_template(self, conversation, *, tokenize, add_generation_prompt):
        assert not tokenize
        has_system = conversation[0]["role"] == "system"
        turns = [*([] if has_system else [{"role": "system", "content": "Test."}]), *conversation]
        text = "".join(f"<{turn['role']}>{turn['content']}</s>" for turn in turns)
        return text + ("<assistant>" if add_generation_prompt else "")

    def encode(self, text, *, add_special_tokens):
        words = re.findall(r"\w+|[^\w\s]", text)
        return [1] * add_special_tokens + [hash(word) for word in words]


@pytest.fixture(scope="session")
def tokenizer():
    return WordTokenizer()
