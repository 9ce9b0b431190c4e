"""The command line, and what its process must not load."""

import json
import signal
import subprocess
import sys
import time

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from scorer.training.data import __main__ as command
from scorer.training.data.families import FAMILIES
from scorer.training.data.sample import read_samples
from tests.processes import ROOT

CHAT_TEMPLATE = "{% for message in messages %}<{{ message.role }}>{{ message.content }}{% endfor %}<assistant>"
NOT_LOADED = {"torch", "grpc", "services", "sglang", "numpy"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with a tokenizer that cuts at white space and marks."""
    tokens = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokens)
    tokenizer.chat_template = CHAT_TEMPLATE
    folder = tmp_path_factory.mktemp("model")
    tokenizer.save_pretrained(folder)
    return folder


def arguments(out, model, *more: str) -> list[str]:
    lengths = ("--min-tokens", "200", "--max-tokens", "500")
    return [sys.executable, "-m", "scorer.training.data", "--out", str(out), "--model", str(model), *lengths, *more]


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)


def test_two_processes_write_the_same_bytes_and_sum_them_up(model, tmp_path):
    chosen = ("--split", "held_out", "--count", "32", "--seed", "3")
    table = run(*arguments(tmp_path / "a", model, *chosen))
    assert table.returncode == 0, table.stderr
    assert "32 samples of held_out" in table.stdout
    summary = run(*arguments(tmp_path / "b", model, *chosen, "--json"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    cells = json.loads(summary.stdout)["cells"]
    assert sum(cell["samples"] for cell in cells) == len(list(read_samples(tmp_path / "b"))) == 32
    assert len(cells) == 16
    assert all(200 <= cell["min_tokens"] <= cell["max_tokens"] <= 500 for cell in cells)


def test_a_wrong_name_is_one_sentence_and_no_traceback(model, tmp_path):
    done = run(*arguments(tmp_path / "x", model, "--family", "nothing"))
    assert done.returncode == 1
    assert done.stderr.startswith("family: nothing is not known here; choose of arithmetic")
    assert done.stderr.count("\n") == 1


def test_a_model_without_a_chat_template_is_refused(model, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "tokenizer.json").write_bytes((model / "tokenizer.json").read_bytes())
    done = run(*arguments(tmp_path / "x", bare))
    assert done.returncode == 1
    assert "has no chat template" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupt_leaves_nothing_behind(model, tmp_path):
    argv = arguments(tmp_path / "out" / "x", model, "--count", "100000")
    (tmp_path / "out").mkdir()
    with subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        # samples in the half-made file say that building is under way
        while not any(file.stat().st_size for file in (tmp_path / "out").iterdir()) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert "as it was before" in stderr
    assert process.returncode == command.INTERRUPTED
    assert "Traceback" not in stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_building_loads_no_model_library_and_no_server():
    code = (
        "import sys, scorer.training.data.build, scorer.training.data.longbench, scorer.training.data.families as f;"
        "[f.load_family(name) for name in f.FAMILIES];"
        "print(len(f.FAMILIES), *{name.split('.')[0] for name in sys.modules})"
    )
    count, *loaded = run(sys.executable, "-c", code).stdout.split()
    assert int(count) == len(FAMILIES)
    assert not NOT_LOADED & set(loaded)
    # reading a tokenizer is the caller's business
    assert "transformers" not in loaded
