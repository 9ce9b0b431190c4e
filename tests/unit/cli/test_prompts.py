"""What the command line takes for prompts and budgets."""

import io

import pytest
import typer

from services.cli.prompts import parse_budget, read_prompt


@pytest.mark.parametrize(
    ("text", "found"),
    [("", (None, None)), ("2048", (2048, None)), ("20%", (None, 0.2)), ("0.25", (None, 0.25)), ("1.0", (None, 1.0))],
)
def test_a_budget_is_tokens_or_a_share(text, found):
    assert parse_budget(text) == found


@pytest.mark.parametrize("text", ["much", "20 %%", "1,5", "%"])
def test_any_other_budget_is_refused(text):
    with pytest.raises(typer.BadParameter, match="neither tokens"):
        parse_budget(text)


def test_a_prompt_comes_from_one_place(tmp_path, monkeypatch):
    (tmp_path / "prompt").write_text("from a file")
    monkeypatch.setattr("sys.stdin", io.StringIO("from stdin"))
    assert read_prompt("as it stands", None) == "as it stands"
    assert read_prompt(None, tmp_path / "prompt") == "from a file"
    assert read_prompt("-", None) == "from stdin"
    for both in ((None, None), ("text", tmp_path / "prompt")):
        with pytest.raises(typer.BadParameter, match="one of both"):
            read_prompt(*both)


def test_what_is_no_text_is_refused_by_name(tmp_path):
    (tmp_path / "prompt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="prompt: is no UTF-8 text"):
        read_prompt(None, tmp_path / "prompt")
    with pytest.raises(ValueError, match="is empty"):
        read_prompt("", None)
