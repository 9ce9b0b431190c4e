"""Who watches gets what is in force at once, then each change; a bad edit changes nothing but the log."""

import asyncio

import pytest
import structlog

from scorer.config_file import ConfigError
from scorer.config_source import ConfigSource

FINGERPRINT = "0123456789abcdef" * 2


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "scoring.yaml"
    file.write_text("default: {sink_tokens: 1}")
    return file


async def test_all_watchers_get_every_change(path):
    source = ConfigSource(path)
    watches = [source.watch(FINGERPRINT) for _ in range(3)]
    assert [(await anext(watch)).sink_tokens for watch in watches] == [1, 1, 1]
    waiting = [asyncio.create_task(anext(watch)) for watch in watches]
    await asyncio.sleep(0)
    path.write_text("default: {sink_tokens: 2}")
    source.reread()
    assert [config.sink_tokens for config in await asyncio.gather(*waiting)] == [2, 2, 2]


async def test_slow_watcher_gets_the_newest(path):
    source = ConfigSource(path)
    watch = source.watch(FINGERPRINT)
    await anext(watch)
    for sinks in (2, 3):
        path.write_text(f"default: {{sink_tokens: {sinks}}}")
        source.reread()
    assert (await anext(watch)).sink_tokens == 3


async def test_change_of_another_model_is_not_sent(path):
    source = ConfigSource(path)
    watch = source.watch(FINGERPRINT)
    await anext(watch)
    waiting = asyncio.create_task(anext(watch, None))
    await asyncio.sleep(0)
    path.write_text(f"default: {{sink_tokens: 1}}\nmodels: {{{FINGERPRINT[::-1]}: {{sink_tokens: 9}}}}")
    source.reread()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    source.close()
    assert await waiting is None


async def test_closing_ends_watches_old_and_new(path):
    source = ConfigSource(path)
    watch = source.watch(FINGERPRINT)
    await anext(watch)
    source.close()
    assert [config async for config in watch] == []
    assert [config async for config in source.watch(FINGERPRINT)] == []


def test_bad_edit_keeps_what_is_in_force_and_is_logged_once(path):
    source = ConfigSource(path)
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            path.write_text("default: {sink_tokns: 2}")
            source.reread()
    assert source.for_model(FINGERPRINT).sink_tokens == 1
    assert [line["event"] for line in logs] == ["configuration refused, the last good one stays in force"]
    assert "default.sink_tokns" in logs[0]["reason"]


def test_file_that_disappears_keeps_what_is_in_force(path):
    source = ConfigSource(path)
    path.unlink()
    with structlog.testing.capture_logs() as logs:
        source.reread()
    assert source.for_model(FINGERPRINT).sink_tokens == 1
    assert len(logs) == 1


def test_file_must_be_good_at_first(path):
    path.write_text("default: {sink_tokns: 2}")
    with pytest.raises(ConfigError, match="sink_tokns"):
        ConfigSource(path)
