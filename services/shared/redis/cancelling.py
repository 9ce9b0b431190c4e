"""Cancelling what may lose a cancel."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

AGAIN_SECONDS = 0.05

T = TypeVar("T")


async def cancelled_for_sure(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns. When this is cancelled, `work` is cancelled until it ends.

    `asyncio.wait_for` of Python 3.11 drops a cancel that comes just when it is done, and redis-py waits with it for
    what it sends: a command of a process that is told to stop would go on to wait for its answer.
    """
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=AGAIN_SECONDS)
        raise
