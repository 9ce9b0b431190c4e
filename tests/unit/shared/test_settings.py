"""Settings that are wrong stop the process with a sentence per variable."""

from typing import Any

import pytest
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.shared.settings import OptionalPort, load_settings


class CupSettings(BaseSettings):
    """Environment variables carry the prefix `CUP_`."""

    model_config = SettingsConfigDict(env_prefix="CUP_", frozen=True)

    port: int = Field(7, ge=0, le=65535, description="where it listens")
    colour: str = Field(description="its colour")
    steam_port: OptionalPort = Field(8, description="where steam goes")
    extras: dict[str, Any] = Field({}, description="anything else")


def refused(capsys) -> list[str]:
    with pytest.raises(SystemExit) as stopped:
        load_settings(CupSettings)
    assert stopped.value.code == 2
    return capsys.readouterr().err.splitlines()


def test_reads_the_environment(monkeypatch):
    monkeypatch.setenv("CUP_COLOUR", "red")
    monkeypatch.setenv("CUP_EXTRAS", '{"lid": true}')
    assert load_settings(CupSettings) == CupSettings(port=7, colour="red", extras={"lid": True})


@pytest.mark.parametrize(("text", "port"), [("", None), ("0", 0), ("9052", 9052)])
def test_an_optional_port_may_be_empty(monkeypatch, text, port):
    monkeypatch.setenv("CUP_COLOUR", "red")
    monkeypatch.setenv("CUP_STEAM_PORT", text)
    assert load_settings(CupSettings).steam_port == port


@pytest.mark.parametrize("text", ["-1", "65536", "none"])
def test_an_optional_port_that_is_none_is_named(monkeypatch, capsys, text):
    monkeypatch.setenv("CUP_COLOUR", "red")
    monkeypatch.setenv("CUP_STEAM_PORT", text)
    (line,) = refused(capsys)
    assert line.startswith(f"CUP_STEAM_PORT is {text!r}: ") and line.endswith("(where steam goes)")


def test_each_wrong_variable_gets_one_line_with_its_name_value_and_meaning(monkeypatch, capsys):
    monkeypatch.setenv("CUP_PORT", "99999")
    port, colour = refused(capsys)
    assert port.startswith("CUP_PORT is '99999': ") and port.endswith("(where it listens)")
    assert colour == "CUP_COLOUR is missing; set it to: its colour"


def test_a_value_that_should_be_json_and_is_not_is_named(monkeypatch, capsys):
    monkeypatch.setenv("CUP_COLOUR", "red")
    monkeypatch.setenv("CUP_EXTRAS", "{lid")
    (line,) = refused(capsys)
    assert '"extras"' in line and "write it as JSON" in line
