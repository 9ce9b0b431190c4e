import json

import pytest

from scorer.training.data.sample import Answer, BadLine, Message, Sample, read_samples, write_samples

FULL = Sample("needle", "held_out", "texts", "raw", 7, prompt="a\nü", expected=Answer(("1", "2"), "any"))
CHAT = Sample("x", "train", "texts", "templated", 8, messages=(Message("system", "s"), Message("user", "u")))


def test_samples_come_back_as_they_were_written(tmp_path):
    file = tmp_path / "samples.jsonl"
    write_samples(file, [FULL, CHAT])
    assert list(read_samples(file)) == [FULL, CHAT]
    assert len(file.read_text(encoding="utf-8").splitlines()) == 2


def test_a_users_prompt_or_chat_needs_nothing_else(tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text('{"prompt": "hi"}\n\n{"messages": [{"role": "user", "content": "hi"}], "model": "x"}\n')
    prompt, chat = read_samples(file)
    assert (prompt.prompt, prompt.form, prompt.split) == ("hi", "raw", "user")
    assert (chat.messages, chat.form, chat.split) == ((Message("user", "hi"),), "templated", "user")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{", "not JSON: .* at column"),
        ("[]", "must be a JSON object"),
        ("{}", "prompt: missing or empty"),
        ({"prompt": 3}, "prompt: must be of type str, got int"),
        ({"prompt": "a", "messages": [{"role": "user", "content": "b"}]}, "prompt, messages: exactly one"),
        ({"prompt": "a", "seed": "b"}, "seed: must be of type int, got str"),
        ({"prompt": "a", "form": "cooked"}, "form: must be one of templated, raw, cut, got 'cooked'"),
        ({"prompt": "a", "split": "test"}, "split: must be one of train, held_out, user, got 'test'"),
        ({"prompt": "a", "expected": {"values": []}}, "expected.values: must be a list of at least one text"),
        ({"prompt": "a", "expected": {"values": ["b"], "needs": "two"}}, "needs: must be one of all, any"),
        ({"messages": ["hi"]}, r"messages\[0\]: must be an object"),
        ({"messages": [{"role": "cat", "content": "b"}]}, r"messages\[0\].role: must be one of .* got 'cat'"),
        ({"messages": [{"role": "user", "content": [1]}]}, r"messages\[0\].content: must be a text"),
    ],
)
def test_a_bad_line_is_refused_with_its_number_and_field(row, words, tmp_path):
    file = tmp_path / "bad.jsonl"
    file.write_text('{"prompt": "fine"}\n' + (row if isinstance(row, str) else json.dumps(row)) + "\n")
    with pytest.raises(BadLine, match=rf"bad.jsonl, line 2: {words}"):
        list(read_samples(file))


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "samples.jsonl"
    file.write_text("old")

    def samples():
        yield FULL
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_samples(file, samples())
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_the_text_of_an_answer_names_all_values_or_the_first_alternative():
    assert Answer(("1", "2")).text == "1, 2"
    assert Answer(("1", "2"), "any").text == "1"
