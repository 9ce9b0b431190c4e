"""docs/training.md from its first command to its last, on a tiny model."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from tests.ops.pages import commands, read
from tests.ops.shell import run
from tests.redis_servers import RedisServer, server_program
from tests.unit.scorer.training.conftest import SIZES

CHAT = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} {% endfor %}assistant"
POSITIONS = {"max_position_embeddings": 512}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny-llama"
    AutoModelForCausalLM.from_config(LlamaConfig(**SIZES | POSITIONS)).save_pretrained(folder)
    words = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, chat_template=CHAT).save_pretrained(folder)
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(server_program("valkey"), tmp_path)
    yield server
    server.kill()


def test_the_guide_to_training_works_as_it_stands(model, registry, tmp_path):
    told = {"LOOKAHEADKV_REDIS_URL": registry.url, "MODEL": str(model), "NAME": "tiny-llama/mine"}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    said = [run(command, tmp_path, PATH=path, **told) for command in commands(read("training.md"))]
    assert len(said) == 9
    assert (tmp_path / "run" / "curves.png").is_file()
    assert "canary" in said[5] and "mine" in said[5]
