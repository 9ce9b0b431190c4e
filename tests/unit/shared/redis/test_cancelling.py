"""A cancel that a library loses still ends the work."""

import asyncio

import pytest

from services.shared.redis.cancelling import cancelled_for_sure


async def loses_the_first_cancel(ended: list[str]) -> str:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        ended.append("lost")
    await asyncio.sleep(60)
    return "answer of a command that nobody waits for"


async def test_work_that_loses_a_cancel_ends_all_the_same():
    lost: list[str] = []
    task = asyncio.create_task(cancelled_for_sure(loses_the_first_cancel(lost)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(10):
            await task
    assert lost == ["lost"]


async def test_answers_and_errors_pass():
    async def fails() -> None:
        raise ValueError("as it is")

    assert await cancelled_for_sure(asyncio.sleep(0, "answer")) == "answer"
    with pytest.raises(ValueError, match="as it is"):
        await cancelled_for_sure(fails())
