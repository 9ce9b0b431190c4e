import json

import pytest

from scorer.training.data.longbench import SUMMARY, read_longbench
from scorer.training.data.sample import Answer, BadLine, Message

ROW = {"input": "Who?", "context": "Long text.", "answers": ["A", "B"], "length": 2, "dataset": "hotpotqa", "_id": "x"}


def read(tmp_path, *rows, name="file.jsonl"):
    file = tmp_path / name
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return list(read_longbench(file))


def test_a_question_is_a_chat_with_alternatives_as_answers(tmp_path):
    (sample,) = read(tmp_path, ROW)
    assert sample.messages == (Message("user", "Long text.\n\nWho?"),)
    assert (sample.family, sample.split, sample.form) == ("hotpotqa", "held_out", "templated")
    assert sample.expected == Answer(("A", "B"), "any")


@pytest.mark.parametrize("dataset", ["trec", "lcc", "trec_e"])
def test_few_shot_and_code_tasks_have_no_template(dataset, tmp_path):
    (sample,) = read(tmp_path, ROW | {"dataset": dataset})
    assert (sample.prompt, sample.form) == ("Long text.\nWho?", "raw")


def test_a_data_set_without_questions_asks_for_a_summary_and_is_named_by_its_file(tmp_path):
    (sample,) = read(tmp_path, {"input": "", "context": "Text.", "answers": ["A"]}, name="gov_report.jsonl")
    assert sample.messages[0].content == f"Text.\n\n{SUMMARY}"
    assert sample.family == "gov_report"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"context": None}, "context: must be a text"),
        ({"input": 3}, "input: must be a text"),
        ({"answers": []}, "answers: must be a list of at least one text"),
        ({"answers": "A"}, "answers: must be a list"),
        ({"dataset": 3}, "dataset: must be a text"),
    ],
)
def test_a_bad_line_is_refused_with_its_number_and_field(change, words, tmp_path):
    with pytest.raises(BadLine, match=f"line 2: {words}"):
        read(tmp_path, ROW, ROW | change)


def test_a_missing_field_is_called_missing(tmp_path):
    with pytest.raises(BadLine, match="line 1: context: missing"):
        read(tmp_path, {"input": "a", "answers": ["b"]})
