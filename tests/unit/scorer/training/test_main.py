"""The command from end to end, on a tiny model in a folder."""

import json
import signal
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from scorer.adapters.fingerprint import read_config
from scorer.adapters.folder import read_folder
from scorer.adapters.weights import load_weights
from scorer.training import loop, prepared
from scorer.training import run as run_module
from scorer.training.main import main

WORDS = "<unk> user assistant the river city has a name and one old bridge where is it who knows that".split()
CHAT = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} {% endfor %}assistant"
LINES = (
    {"prompt": "the river has a name and one old bridge where is it the city knows"},
    {"messages": [{"role": "user", "content": "the city has one old bridge and a river who knows that name"}]},
    {"prompt": "who knows the name that the old city has where one river is"},
)


@pytest.fixture(scope="module")
def folder(llama, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "tiny-llama"
    llama.hf_model.save_pretrained(path)
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, chat_template=CHAT).save_pretrained(path)
    return path


@pytest.fixture
def data(tmp_path):
    return written(tmp_path / "data.jsonl", *LINES)


def written(file, *rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def train(folder, data, out, **changes):
    sizes = {"steps": 4, "batch": 2, "max_response_tokens": 6, "lookahead_tokens": 3, "rank": 2, "save_every": 2}
    base: dict[str, Any] = {"device": "cpu", "sink_tokens": 1, "recent_tokens": 2}
    main(model=folder, data=data, out=out, **(base | sizes | changes))


def read(folder, out):
    return read_folder(out / "adapter", read_config(folder))


@pytest.mark.parametrize("objective", ["fused_max", "evictable_max", "paper"])
def test_writes_a_verified_adapter_and_its_metrics(folder, data, tmp_path, objective, capsys):
    train(folder, data, tmp_path / "out", objective=objective)
    bundle = read(folder, tmp_path / "out")
    assert (bundle.manifest.adapter, bundle.manifest.version, bundle.manifest.model) == ("lookaheadkv", 1, "tiny-llama")
    assert bundle.manifest.training_tag == f"{objective}, 4 steps of 2, seed 0"
    assert 0 < bundle.manifest.scores["retained_max_lookahead_0.2"] <= bundle.manifest.scores["retained_max_oracle_0.2"]
    assert load_weights(bundle).embeddings.shape == (3, 64)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert [each["step"] for each in metrics["steps"]] == [1, 2, 3, 4]
    assert [each["step"] for each in metrics["validations"]] == [2, 4]
    assert metrics["run"]["objective"] == objective
    assert (tmp_path / "out" / "curves.png").read_bytes().startswith(b"\x89PNG")
    out, err = capsys.readouterr()
    assert "adapter: loss" in out and "retained lookahead" in out
    assert "4/4" in err


def test_interrupted_run_goes_on_to_the_same_bytes(folder, data, tmp_path, monkeypatch, capsys):
    train(folder, data, tmp_path / "whole")
    steps = loop.train

    def interrupted(*args):
        for metrics in steps(*args):
            if metrics.step == 3:
                signal.raise_signal(signal.SIGINT)
            yield metrics

    with monkeypatch.context() as patched:
        patched.setattr(run_module, "train", interrupted)
        with pytest.raises(SystemExit) as stopped:
            train(folder, data, tmp_path / "out")
    assert stopped.value.code == 130
    assert "stopped after step 3 of 4; go on from there with --resume\n" in capsys.readouterr().err
    assert not (tmp_path / "out" / "adapter").exists()
    train(folder, data, tmp_path / "out", resume=True)
    assert read(folder, tmp_path / "out").tensors == read(folder, tmp_path / "whole").tensors
    metrics = [(tmp_path / name / "metrics.json").read_bytes() for name in ("out", "whole")]
    assert metrics[0] == metrics[1]


def test_interrupt_before_the_first_step_is_one_sentence(folder, data, tmp_path, monkeypatch, capsys):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(prepared, "greedy_responses", interrupted)
    with pytest.raises(SystemExit) as stopped:
        train(folder, data, tmp_path / "out")
    assert stopped.value.code == 130
    assert capsys.readouterr().err.endswith("stopped; no step since the last checkpoint was kept\n")


def test_runs_with_other_objectives_share_prepared_samples(folder, data, tmp_path, monkeypatch):
    train(folder, data, tmp_path / "one", prepared=tmp_path / "samples")
    monkeypatch.setattr(prepared, "greedy_responses", None)
    train(folder, data, tmp_path / "two", prepared=tmp_path / "samples", objective="paper")
    with pytest.raises(SystemExit, match="holds other samples; max_response_tokens: 5, prepared with 6"):
        train(folder, data, tmp_path / "three", prepared=tmp_path / "samples", max_response_tokens=5)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "the"}, "line 2: prompt: missing or empty"),
        ({"prompt": 7}, "line 2: prompt: must be of type str"),
        ({"messages": [{"role": "user"}]}, "line 2: messages[0].content: must be a text"),
    ],
)
def test_wrong_lines_are_named(folder, tmp_path, row, message):
    with pytest.raises(SystemExit) as refused:
        train(folder, written(tmp_path / "data.jsonl", LINES[0], row), tmp_path / "out")
    assert message in str(refused.value)


def test_data_of_another_encoding_is_named(folder, tmp_path):
    (tmp_path / "data.jsonl").write_bytes('{"prompt": "é"}\n'.encode("latin-1"))
    with pytest.raises(SystemExit, match=r"data\.jsonl: is not UTF-8"):
        train(folder, tmp_path / "data.jsonl", tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps: "),
        ({"objective": "best"}, "objective: "),
        ({"rank": 0}, "rank"),
        ({"name": "Not A Name"}, "name or folder of the model: "),
        ({"max_prompt_tokens": 3}, "none has at most 3 tokens"),
        ({"device": "abacus"}, "device: 'abacus' is not one of cpu and cuda"),
        ({"dtype": "int4"}, "dtype: 'int4' is not one of float32 and bfloat16"),
        ({"resume": True}, "checkpoint.pt does not exist, so there is nothing to resume"),
        ({"learning_rate": 1e30, "warmup": 0}, "try a lower learning_rate"),
    ],
)
def test_what_cannot_work_is_told_in_one_line(folder, data, tmp_path, changes, message):
    with pytest.raises(SystemExit) as refused:
        train(folder, data, tmp_path / "out", **changes)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_earlier_work_is_not_replaced(folder, data, tmp_path):
    train(folder, data, tmp_path / "out")
    with pytest.raises(SystemExit, match="adapter exists; choose another folder"):
        train(folder, data, tmp_path / "out", resume=True)
    (tmp_path / "out" / "adapter").rename(tmp_path / "elsewhere")
    with pytest.raises(SystemExit, match="checkpoint.pt exists; add --resume"):
        train(folder, data, tmp_path / "out")


def test_other_settings_do_not_resume(folder, data, tmp_path):
    train(folder, data, tmp_path / "out")
    (tmp_path / "out" / "adapter").rename(tmp_path / "elsewhere")
    with pytest.raises(SystemExit, match="is of another run; .*rank: 3, saved with 2"):
        train(folder, data, tmp_path / "out", resume=True, rank=3)


def test_one_prompt_trains_without_validation(folder, tmp_path):
    train(folder, written(tmp_path / "data.jsonl", LINES[0]), tmp_path / "out")
    assert list(read(folder, tmp_path / "out").manifest.scores) == ["loss"]
    assert torch.isfinite(load_weights(read(folder, tmp_path / "out")).embeddings).all()
