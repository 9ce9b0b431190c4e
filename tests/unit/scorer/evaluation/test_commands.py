"""The commands from end to end, on a tiny model in a folder."""

import json
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from scorer.adapters.folder import save_folder
from scorer.adapters.manifest import Files, Manifest, model_identity
from scorer.evaluation import run_command
from scorer.evaluation.cost_command import cost
from scorer.evaluation.methods import METHODS
from scorer.evaluation.report_command import report
from scorer.evaluation.results import append_results, read_results
from scorer.evaluation.run_command import run

WORDS = "<unk> user assistant the river city has a name and one old bridge where is it who knows that".split()
CHAT = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} {% endfor %}assistant"
LONG = " ".join(WORDS[3:] * 3)
LINES = (
    {"prompt": LONG, "family": "needle", "expected": {"values": ["bridge"]}},
    {"messages": [{"role": "user", "content": LONG + " the river"}], "expected": {"values": ["city", "name"]}},
    {"prompt": LONG + " who knows"},
)
SIZES: dict[str, Any] = {"response_tokens": 5, "draft_tokens": 2, "sink_tokens": 1, "recent_tokens": 3}


@pytest.fixture(scope="module")
def folder(llama, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "tiny-llama"
    llama.case.hf_model.save_pretrained(path)
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, chat_template=CHAT).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def adapter(llama, folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("adapters") / "one"
    contents = llama.setting.adapter.to_files()
    identity: dict[str, Any] = model_identity(json.loads((folder / "config.json").read_text()))
    names: dict[str, Any] = {"adapter": "one", "version": 1, "model": "tiny-llama", "training_tag": "", "scores": {}}
    save_folder(path, Manifest(**names, **identity, dtype="float32", files=Files.of(contents)), contents)
    return path


@pytest.fixture
def data(tmp_path):
    return written(tmp_path / "data.jsonl", *LINES)


def written(file, *rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def evaluate(folder, data, out, **changes):
    run(**{"model": folder, "data": data, "out": out, "dtype": "float32", "budget": ["40%"], **SIZES, **changes})


def test_every_method_and_budget_is_measured_and_reported(folder, adapter, data, tmp_path, capsys):
    out, names = tmp_path / "r.jsonl", [name for name in METHODS if name != "speckv"]
    evaluate(folder, data, out, adapter=adapter, method=names, budget=["40%", "20"], accuracy_budget=["none"])
    results = read_results(out)
    assert len(results) == 3 * (1 + 2 * len(names))
    assert {result.method for result in results} == {"full", *names}
    assert {result.kept_tokens for result in results if result.budget == "20"} == {20}
    assert all(result.kl is not None and result.kl >= -1e-5 and result.nll is not None for result in results)
    capsys.readouterr()

    report(results=out, out=tmp_path / "rep", name="quality", budget="40%", json=True)
    printed = json.loads(capsys.readouterr().out)
    content = json.loads((tmp_path / "rep" / "quality.json").read_text())
    assert printed["verdict"] == content["verdict"]
    assert list(content["rows"][0]) == [
        "family", "templated", "prompt_tokens", "budget", "method", "metric", "mean", "lo", "hi", "n"
    ]  # fmt: skip
    (by_hand,) = (r.nll for r in results if r.method == "window" and r.budget == "40%" and r.family == "needle")
    (row,) = (
        r
        for r in content["rows"]
        if (r["method"], r["metric"], r["budget"], r["family"]) == ("window", "nll", "40%", "needle")
    )
    assert row["mean"] == pytest.approx(by_hand, abs=1e-4)
    sha256 = json.loads((adapter / "manifest.json").read_text())["files"]["adapter_model.safetensors"]["sha256"]
    assert content["settings"]["adapter_sha256"] == sha256
    assert (tmp_path / "rep" / "quality.md").read_text().count("![") == len(list((tmp_path / "rep").glob("*.png")))


def test_a_stopped_run_goes_on_where_it_was(folder, data, tmp_path, monkeypatch, capsys):
    out = tmp_path / "r.jsonl"
    monkeypatch.setattr("scorer.evaluation.run.CHUNK_SAMPLES", 1)
    calls, seen = [], []

    def interrupted(file, results):
        append_results(file, results)
        calls.append({result.sample for result in results})
        if len(calls) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run_command, "append_results", interrupted)
        with pytest.raises(SystemExit) as stopped:
            evaluate(folder, data, out, method=["window"])
    assert stopped.value.code == 130
    assert "the same command goes on with what is in" in capsys.readouterr().err
    assert len({result.sample for result in read_results(out)}) == 2

    def watched(file, results):
        append_results(file, results)
        seen.append(results)

    monkeypatch.setattr(run_command, "append_results", watched)
    evaluate(folder, data, out, method=["window"])
    assert [len(results) for results in seen] == [2]
    keys = [result.key for result in read_results(out)]
    assert len(keys) == len(set(keys)) == 6


def test_more_methods_join_earlier_results(folder, data, tmp_path):
    out = tmp_path / "r.jsonl"
    evaluate(folder, data, out, method=["window"])
    before = read_results(out)
    evaluate(folder, data, out, method=["window", "random"])
    assert read_results(out)[: len(before)] == before
    assert {result.method for result in read_results(out)[len(before) :]} == {"random"}


def test_shards_are_all_of_it_together(folder, data, tmp_path):
    for i in range(2):
        evaluate(folder, data, tmp_path / f"{i}.jsonl", method=["window"], shard=f"{i}/2")
    evaluate(folder, data, tmp_path / "all.jsonl", method=["window"])
    shards = read_results(tmp_path / "0.jsonl") + read_results(tmp_path / "1.jsonl")
    assert {result.key for result in shards} == {result.key for result in read_results(tmp_path / "all.jsonl")}
    report(results=tmp_path / "0.jsonl", merge=[tmp_path / "1.jsonl"], out=tmp_path / "rep", budget="40%")
    assert (tmp_path / "rep" / "quality.json").exists()


def test_results_that_were_made_otherwise_are_not_merged(folder, data, tmp_path):
    evaluate(folder, data, tmp_path / "a.jsonl", method=["window"])
    evaluate(folder, data, tmp_path / "b.jsonl", method=["window"], response_tokens=4)
    with pytest.raises(SystemExit, match="response_tokens: is 5 in a.jsonl, 4 in b.jsonl; such results cannot"):
        report(results=tmp_path / "a.jsonl", merge=[tmp_path / "b.jsonl"], out=tmp_path / "rep")


def test_longbench_files_are_read(folder, tmp_path):
    row = {"input": "who knows", "context": LONG, "answers": ["bridge", "city"], "dataset": "qasper"}
    evaluate(folder, written(tmp_path / "qasper.jsonl", row), tmp_path / "r.jsonl", method=["window"], longbench=True)
    assert {result.family for result in read_results(tmp_path / "r.jsonl")} == {"qasper"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": ["best"]}, "methods: .*best: not known; choose from oracle"),
        ({"budget": ["0%"]}, "budget: '0%' must be above 0"),
        ({"dtype": "int8"}, "dtype: 'int8' is not one of float32 and bfloat16"),
        ({"shard": "2/2"}, "shard: '2/2' must be like 0/2"),
        ({"method": ["lookahead"]}, "adapter: lookahead needs one"),
        ({"method": ["speckv"]}, "drafter: speckv needs the folder of a smaller model"),
    ],
)
def test_what_cannot_work_is_told_in_one_line(folder, data, tmp_path, changes, message):
    with pytest.raises(SystemExit, match=message) as refused:
        evaluate(folder, data, tmp_path / "r.jsonl", **changes)
    assert "\n" not in str(refused.value)


def test_wrong_lines_are_named(folder, tmp_path):
    with pytest.raises(SystemExit, match="line 2: prompt: must be of type str"):
        evaluate(folder, written(tmp_path / "data.jsonl", LINES[0], {"prompt": 7}), tmp_path / "r.jsonl")


def test_costs_are_told_beside_the_prefill(folder, adapter, tmp_path, capsys):
    out = tmp_path / "rep"
    options: dict[str, Any] = {"prompt_tokens": [64], "draft_tokens": [2], "repeats": 1, "dtype": "float32"}
    before = torch.random.get_rng_state()
    cost(model=folder, adapter=adapter, out=out, json=True, budget_ratio=0.6, **options)
    rows = json.loads(capsys.readouterr().out)
    assert [row["method"] for row in rows] == [
        "lookahead", "fused", "window", "laq, draft of 2", "speckv_self, draft of 2"
    ]  # fmt: skip
    assert all(row["added_ms"] > 0 and row["prefill_ms"] > 0 for row in rows)
    assert rows[0]["ratio_to_prefill"] == pytest.approx(rows[0]["added_ms"] / rows[0]["prefill_ms"], rel=1e-2)
    assert json.loads((out / "cost.json").read_text())["rows"] == rows
    assert torch.equal(before, torch.random.get_rng_state())
