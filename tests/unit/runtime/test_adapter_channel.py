"""What the front asks for reaches the scheduler process, and what that holds comes back."""

import asyncio

from services.runtime.adapter_table import Loaded
from services.runtime.backends.sglang.adapter_channel import AdapterChannel, Asked, answer, read_asked
from tests.processes import poll


async def answered(folder, asked: "asyncio.Task[Loaded]", number: int, loaded: Loaded) -> Loaded:
    """What the front hears when the scheduler answers the request of this number."""
    await asyncio.to_thread(poll, lambda: read_asked(folder).number == number, 5.0)
    answer(folder, read_asked(folder), loaded)
    return await asked


async def test_request_and_answer_cross_the_processes(tmp_path):
    channel = AdapterChannel(tmp_path)
    assert read_asked(tmp_path) == Asked()
    loaded = Loaded(frozenset({"a/1"}), {"a/2": "is damaged"})
    asked = asyncio.create_task(channel.ask({"a/1": "/one", "a/2": "/two"}))
    assert await answered(tmp_path, asked, 1, loaded) == loaded
    assert read_asked(tmp_path).folders == {"a/1": "/one", "a/2": "/two"}


async def test_answer_to_an_earlier_request_is_not_taken_for_this_one(tmp_path):
    channel = AdapterChannel(tmp_path)
    first, second = Loaded(frozenset({"a/1"})), Loaded(frozenset({"a/2"}))
    await answered(tmp_path, asyncio.create_task(channel.ask({"a/1": "/one"})), 1, first)
    asked = asyncio.create_task(channel.ask({"a/2": "/two"}))
    assert await answered(tmp_path, asked, 2, second) == second


async def test_disk_that_takes_nothing_is_a_problem_of_what_was_asked_for(tmp_path):
    loaded = await AdapterChannel(tmp_path / "gone").ask({"a/1": "/one"})
    assert not loaded.held and "No such file or directory" in loaded.problems["a/1"]


async def test_scheduler_that_does_not_answer_still_holds_what_it_held(tmp_path):
    channel = AdapterChannel(tmp_path, answer_seconds=0.2)
    await answered(tmp_path, asyncio.create_task(channel.ask({"a/1": "/one"})), 1, Loaded(frozenset({"a/1"})))
    loaded = await channel.ask({"a/1": "/one", "a/2": "/two"})
    assert loaded == Loaded(frozenset({"a/1"}), {"a/2": "the engine did not answer within 0.2 s"})
