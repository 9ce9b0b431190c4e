"""The time that the fake engine's work takes."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Device:
    """Prefill and steps of decoding, side by side; when there is only `one`, in an engine's order.

    Then prompts are prefilled one by one, first come, first served, and no step begins while one is or waits.
    """

    def __init__(self, step_seconds: float, token_seconds: float, one: bool) -> None:
        self._step_seconds = step_seconds
        self._token_seconds = token_seconds
        self._one = one
        self._resident_tokens = 0
        self._prefills = 0
        self._turn = asyncio.Lock()
        self._no_prefill = asyncio.Event()
        self._no_prefill.set()

    async def prefill(self, seconds: float) -> float:
        """Prefill for so long. Returns when it began, as of time.monotonic."""
        if not self._one:
            return await _spend(seconds)
        self._prefills += 1
        self._no_prefill.clear()
        try:
            async with self._turn:
                return await _spend(seconds)
        finally:
            self._prefills -= 1
            if not self._prefills:
                self._no_prefill.set()

    @contextmanager
    def decode(self, kept_tokens: int) -> Iterator["Steps"]:
        """The steps of a request with so many KV tokens, which the batch holds until the end of the block."""
        steps = Steps(self)
        self._resident_tokens += kept_tokens
        try:
            yield steps
        finally:
            self._resident_tokens -= kept_tokens + steps.tokens

    async def step_seconds(self) -> float:
        """How long a step takes; waits until one may begin. The batch holds a token more from now on."""
        await self._no_prefill.wait()
        self._resident_tokens += 1
        return self._step_seconds + self._token_seconds * self._resident_tokens

    @property
    def stalled(self) -> bool:
        """Whether a step would have to wait for a prefill."""
        return not self._no_prefill.is_set()


class Steps:
    """The steps of one request."""

    def __init__(self, device: Device) -> None:
        self.tokens = 0
        self._device = device
        self._due = time.monotonic()

    async def next(self) -> None:
        """Wait for the next step to be over."""
        stalled = self._device.stalled
        seconds = await self._device.step_seconds()
        self.tokens += 1
        now = time.monotonic()
        # timers are late by a millisecond or two, for which the next step makes up
        self._due = (now if stalled else self._due) + seconds
        await asyncio.sleep(max(0.0, self._due - now))


async def _spend(seconds: float) -> float:
    began = time.monotonic()
    await asyncio.sleep(seconds)
    return began
