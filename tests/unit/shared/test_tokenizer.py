"""The tokenizer gives the model's own ids and lets other threads run."""

import threading
import time
from itertools import pairwise

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

from services.shared.tokenizer import PromptTokenizer


@pytest.fixture(scope="module")
def reference():
    """Byte-level BPE with a start token, as Llama-like models have."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(special_tokens=["<s>"], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(["one two three four " * 20], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return tokenizer


@pytest.fixture
def tokenizer(reference, tmp_path) -> PromptTokenizer:
    reference.save(str(tmp_path / "tokenizer.json"))
    return PromptTokenizer(tmp_path)


@pytest.mark.parametrize("text", ["one two", " ", "naïve 日本語 \U0001f600", "<s>one", "\n\n\ttwo  three\x00"])
def test_gives_the_ids_of_the_plain_call_with_the_start_token(tokenizer, reference, text):
    assert tokenizer.encode(text) == reference.encode(text).ids
    assert tokenizer.encode(text)[0] == 0


def test_other_threads_run_while_a_long_text_is_encoded(tokenizer):
    worker = threading.Thread(target=tokenizer.encode, args=("one two three five " * 30_000,))
    worker.start()
    ticks = [time.perf_counter()]
    while worker.is_alive():
        time.sleep(0.001)
        ticks.append(time.perf_counter())
    longest_wait = max(later - earlier for earlier, later in pairwise(ticks))
    assert longest_wait < (ticks[-1] - ticks[0]) / 2


def test_a_folder_without_a_tokenizer_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}/tokenizer.json does not exist"):
        PromptTokenizer(tmp_path)
