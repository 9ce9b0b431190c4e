"""Logs say what went wrong, and nothing of what a client sent."""

import json

import pytest
import structlog

from services.shared.logs import configure_logs


@pytest.fixture(autouse=True)
def _restored():
    yield
    structlog.reset_defaults()


def test_an_error_is_logged_with_its_place_and_without_the_values_that_led_to_it(capsys):
    configure_logs("INFO")
    prompt = "my secret prompt"
    try:
        raise ValueError(f"{len(prompt)} characters are too many")
    except ValueError as error:
        structlog.get_logger().error("unhandled error", exc_info=error)
    written = capsys.readouterr().err
    line = json.loads(written)
    assert line["exception"][0]["exc_value"] == "16 characters are too many"
    assert line["exception"][0]["frames"][0]["name"].startswith("test_an_error_is_logged")
    assert "secret" not in written
