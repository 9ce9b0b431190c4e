"""The engine's life as callers see it: starting, running, failed or dead."""

import asyncio
from dataclasses import dataclass

from scorer.policies import POLICY_NAMES
from services.runtime.backends import load_backend
from services.runtime.backends.base import Backend, EngineFailed
from services.runtime.settings import RuntimeSettings
from services.shared.errors import FailedPrecondition, ServiceError, Unavailable
from services.shared.generation import ModelLimits
from services.shared.tokenizer import PromptTokenizer


@dataclass(frozen=True)
class Running:
    """A model that answers, and what a request to it must fit."""

    backend: Backend
    tokenizer: PromptTokenizer
    limits: ModelLimits

    async def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of `text`; a long one takes a while, so another thread does it."""
        return tuple(await asyncio.to_thread(self.tokenizer.encode, text))


class Engine:
    """Holds the backend from its start to its end, and the sentence for callers while there is none."""

    def __init__(self) -> None:
        self._running: Running | None = None
        self._backend: Backend | None = None
        self._refusal: tuple[type[ServiceError], str] = (Unavailable, "the engine is starting")

    def running(self) -> Running:
        """The engine. Raises Unavailable while it starts or after it died, FailedPrecondition if it did not start."""
        if self._running is None:
            error, sentence = self._refusal
            raise error(sentence)
        return self._running

    async def start(self, settings: RuntimeSettings) -> Running:
        """Load the model. Raises EngineFailed with the reason, which callers get from now on too."""
        try:
            self._running = await _start(settings)
        except EngineFailed as error:
            self._refusal = (FailedPrecondition, f"the engine did not start: {error}")
            raise
        self._backend = self._running.backend
        return self._running

    async def wait_dead(self) -> str:
        """Why the engine died, once it has; callers get the same sentence from now on."""
        running = self.running()
        sentence = f"the engine died: {await running.backend.failure()}"
        self._refusal = (Unavailable, sentence)
        self._running = None
        return sentence

    async def close(self) -> None:
        """Stop the backend, if there is one, dead or alive."""
        if self._backend:
            await self._backend.close()


async def _start(settings: RuntimeSettings) -> Running:
    try:
        tokenizer = await asyncio.to_thread(PromptTokenizer, settings.model_path)
        backend = await load_backend(settings.backend).start(settings)
    except EngineFailed:
        raise
    except Exception as error:
        raise EngineFailed(str(error) or type(error).__name__) from error
    info = backend.info
    return Running(backend, tokenizer, ModelLimits(info.model, info.context_tokens, info.vocab_size, POLICY_NAMES))
