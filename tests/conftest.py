"""A model folder that is just large enough, and an end that leaves no process behind."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

if not torch.cuda.is_available():
    # Triton interprets the kernels that are decorated while this is set, its own library among them. The servers that
    # tests start must not inherit it: they never need Triton on CPU
    os.environ["TRITON_INTERPRET"] = "1"
    import triton

    triton.knobs.propagate_env = False
    triton.knobs.runtime.interpret = True
    del os.environ["TRITON_INTERPRET"]

VOCAB_SIZE = 1000
CONTEXT_TOKENS = 4096


def pytest_configure() -> None:
    # otherwise a `timeout` around pytest would leave the servers of the running test behind
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", returncode=143))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder without weights. The words w1, w2, ... are the tokens 1, 2, ..."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    folder.mkdir()
    config = {
        "model_type": "llama",
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": VOCAB_SIZE,
        "max_position_embeddings": CONTEXT_TOKENS,
    }
    (folder / "config.json").write_text(json.dumps(config))
    words = {"<unk>": 0, **{f"w{token}": token for token in range(1, VOCAB_SIZE)}}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
