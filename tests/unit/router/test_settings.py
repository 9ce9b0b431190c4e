"""What an operator may write into the router's environment, and what the router says when it is wrong."""

import os

import pytest

from router.main import main
from router.settings import RouterSettings

GOOD = {"ROUTER_TARGETS": "10.0.0.1:50052, runtime-1.runtime:50052", "ROUTER_MODEL_PATH": "model"}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("ROUTER_")]:
        monkeypatch.delenv(name)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


def refused(capsys) -> str:
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_targets_are_split_at_commas():
    assert RouterSettings().targets == ("10.0.0.1:50052", "runtime-1.runtime:50052")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("TARGETS", "", "is not host:port"),
        ("TARGETS", "10.0.0.1:50052,", "'' is not host:port"),
        ("TARGETS", "10.0.0.1", "'10.0.0.1' is not host:port"),
        ("TARGETS", "a:1,b:2,a:1", "a target is named twice"),
        ("PORT", "tcp://10.0.0.7:50050", "ROUTER_PORT is 'tcp://10.0.0.7:50050': Input should be a valid integer"),
        ("KEEP_RATIO", "0", "ROUTER_KEEP_RATIO is '0': Input should be greater than 0"),
        ("KEEP_RATIO", "nan", "ROUTER_KEEP_RATIO is 'nan'"),
        ("FLOOR_TOKENS", "0", "ROUTER_FLOOR_TOKENS is '0'"),
        ("SHORTEST_BUDGET_TOKENS", "-1", "ROUTER_SHORTEST_BUDGET_TOKENS is '-1'"),
        ("LOG_LEVEL", "LOUD", "ROUTER_LOG_LEVEL is 'LOUD'"),
    ],
)
def test_a_wrong_variable_is_one_line_that_names_it(monkeypatch, capsys, name, value, message):
    monkeypatch.setenv(f"ROUTER_{name}", value)
    (line,) = refused(capsys).splitlines()
    assert message in line and line.startswith(f"ROUTER_{name} ")


def test_a_missing_variable_is_named(monkeypatch, capsys):
    monkeypatch.delenv("ROUTER_TARGETS")
    assert refused(capsys).startswith("ROUTER_TARGETS is missing; set it to: host:port")


def test_a_model_folder_without_tokenizer_is_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("ROUTER_MODEL_PATH", str(tmp_path))
    (line,) = refused(capsys).splitlines()
    assert line.startswith(f"ROUTER_MODEL_PATH is '{tmp_path}': ") and "tokenizer.json does not exist" in line
