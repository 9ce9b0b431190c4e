"""The KV slots of the fake engine, and the requests that wait for them."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(eq=False)
class Lease:
    """What one request occupies: its prompt, and room for its answer."""

    prompt_tokens: int
    answer_tokens: int

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.answer_tokens


class SlotPool:
    """First come, first served; a request waits until its prompt and its whole answer fit."""

    def __init__(self, total_slots: int, max_running: int) -> None:
        self.total_slots = total_slots
        self.max_running = max_running
        self.free_slots = total_slots
        self.running = 0
        self._waiting: deque[tuple[Lease, asyncio.Event]] = deque()

    @property
    def queued(self) -> int:
        return len(self._waiting)

    @asynccontextmanager
    async def hold(self, lease: Lease) -> AsyncIterator[None]:
        """Wait for room, occupy it, and give it back at the end."""
        admitted = asyncio.Event()
        entry = (lease, admitted)
        self._waiting.append(entry)
        self._admit()
        try:
            await admitted.wait()
            yield
        finally:
            if admitted.is_set():
                self.running -= 1
                self.free_slots += lease.tokens
            else:
                self._waiting.remove(entry)
            self._admit()

    def shrink(self, lease: Lease, prompt_tokens: int) -> None:
        """Keep `prompt_tokens` of the prompt; the slots of the others are free from now on."""
        self.free_slots += lease.prompt_tokens - prompt_tokens
        lease.prompt_tokens = prompt_tokens
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.running < self.max_running and self._waiting[0][0].tokens <= self.free_slots:
            lease, admitted = self._waiting.popleft()
            self.running += 1
            self.free_slots -= lease.tokens
            admitted.set()
