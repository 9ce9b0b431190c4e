"""Real processes on free ports, and a model folder that is just large enough."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from tests.processes import ServerProcess

VOCAB_SIZE = 1000
CONTEXT_TOKENS = 4096

StartProcess = Callable[..., ServerProcess]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder without weights. The words w1, w2, ... are the tokens 1, 2, ..."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    folder.mkdir()
    config = {
        "model_type": "llama",
        "hidden_size": 64,
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


@pytest.fixture
def start_process() -> Iterator[StartProcess]:
    """start_process("services.runtime.main", RUNTIME_PORT="0", ...): killed at the end of the test."""
    started: list[ServerProcess] = []

    def start(module: str, **variables: Any) -> ServerProcess:
        started.append(ServerProcess(module, {name: str(value) for name, value in variables.items()}))
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def start_runtime(start_process: StartProcess, tiny_model: Path) -> StartProcess:
    """start_runtime(tokens_per_second=50, RUNTIME_...=...): a runtime with the fake engine; waits for nothing.

    Lower-case arguments are arguments of the engine. No scorer is there unless RUNTIME_SCORER_TARGET names one.
    """

    def start(**arguments: Any) -> ServerProcess:
        engine_args = {name: value for name, value in arguments.items() if name.islower()}
        variables = {name: value for name, value in arguments.items() if name.isupper()}
        defaults = {
            "RUNTIME_BACKEND": "fake",
            "RUNTIME_PORT": 0,
            "RUNTIME_MODEL_PATH": tiny_model,
            "RUNTIME_SCORER_TARGET": "127.0.0.1:1",
            "RUNTIME_ENGINE_ARGS": json.dumps(engine_args),
        }
        return start_process("services.runtime.main", **defaults | variables)

    return start


@pytest.fixture
def start_scorer(start_process: StartProcess) -> StartProcess:
    """start_scorer(config_path, port=0): a scorer sidecar; waits for nothing."""

    def start(config_path: Path, port: int = 0) -> ServerProcess:
        return start_process("scorer.main", SCORER_PORT=port, SCORER_CONFIG_PATH=config_path)

    return start
