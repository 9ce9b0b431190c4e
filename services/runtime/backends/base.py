"""What the runtime asks of an inference engine."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, Self

from prometheus_client import Metric

from scorer.policies import ADAPTER_POLICIES, POLICY_NAMES
from services.runtime.adapter_table import Chosen, Loaded, LocalAdapter
from services.runtime.adapters import AdapterInfo
from services.runtime.eviction import EvictionPlan, EvictionReport
from services.runtime.settings import RuntimeSettings
from services.shared.generation import Sampling


@dataclass(frozen=True)
class ModelInfo:
    """The model that an engine has loaded, and what it scores prompts with.

    `adapter_problem` says why there is no adapter. `kernels_off`: kernels that failed their validation at the start,
    with the reason; their references run for as long as this engine does.
    """

    model: str
    fingerprint: str
    context_tokens: int
    vocab_size: int
    layers: int
    kv_heads: int
    head_dim: int
    kv_bytes_per_token: int
    adapter: AdapterInfo | None = None
    adapter_problem: str = ""
    kernels_off: Mapping[str, str] = field(default_factory=dict)

    @property
    def start_adapter(self) -> Chosen:
        """The adapter that the engine started with, as a choice for a request."""
        return Chosen(info=self.adapter, problem=self.adapter_problem)

    def scored_by(self, chosen: Chosen) -> "ModelInfo":
        """The same model with another adapter, or without one."""
        return replace(self, adapter=chosen.info, adapter_problem=chosen.problem)

    @property
    def policies(self) -> tuple[str, ...]:
        """Those that run here; any other one that is known becomes `window`."""
        return tuple(name for name in POLICY_NAMES if self.adapter or name not in ADAPTER_POLICIES)

    def lookahead_objection(self, prompt_tokens: int) -> str:
        """Why lookahead rows cannot look at a prompt of this length; empty when they can."""
        if self.adapter is None:
            return f"there is no adapter: {self.adapter_problem}"
        rows = self.adapter.lookahead_tokens
        if prompt_tokens + rows > self.context_tokens:
            return f"{rows} lookahead rows behind {prompt_tokens} tokens exceed the context of {self.context_tokens}"
        return ""


@dataclass(frozen=True)
class Load:
    """How busy an engine is. Slots are KV tokens; free ones could be used by a new request.

    `max_running_requests` is 0 when the engine does not say.
    """

    running_requests: int
    queued_requests: int
    total_slots: int
    free_slots: int
    max_running_requests: int = 0


@dataclass(frozen=True)
class EngineRequest:
    """One prompt to answer. `plan` is None when the KV cache is to stay whole."""

    request_id: str
    prompt_ids: tuple[int, ...]
    sampling: Sampling
    plan: EvictionPlan | None


@dataclass(frozen=True)
class Finish:
    """How a request ended. `eviction` is None when the engine had no plan to carry out.

    `prefill_began` is in seconds since the epoch; 0 when the engine does not say.
    """

    reason: Literal["stop", "length", "abort"]
    matched_stop: str
    completion_tokens: int
    cached_tokens: int
    retractions: int
    queue_seconds: float
    prefill_seconds: float
    eviction: EvictionReport | None
    prefill_began: float = 0.0


@dataclass(frozen=True)
class EngineOutput:
    """Text and tokens since the last output; `finish` is set on the last one."""

    text: str
    token_ids: tuple[int, ...]
    finish: Finish | None = None


class EngineFailed(Exception):
    """The engine cannot serve. The message is one sentence for an operator."""


class Backend(Protocol):
    """An engine with a model in it."""

    @property
    def info(self) -> ModelInfo: ...

    @classmethod
    async def start(cls, settings: RuntimeSettings) -> Self:
        """Load the model and prove that eviction works. Raises EngineFailed with the reason."""
        ...

    def generate(self, request: EngineRequest) -> AsyncGenerator[EngineOutput, None]:
        """Stream the answer. Closing or cancelling the generator frees the request's KV at once."""
        ...

    async def load_adapters(self, wanted: Sequence[LocalAdapter]) -> Loaded:
        """Hold these adapters beside the one of the start, without a step that waits. Returns what is held now.

        Others are dropped, but only when all of these are held: what scored so far scores on when a new one is refused.
        """
        ...

    async def load(self) -> Load: ...

    def metrics(self) -> Iterable[Metric]:
        """Series that the engine keeps itself, under names of its own. Any thread may ask."""
        ...

    async def failure(self) -> str:
        """Wait until the engine has died, and return why."""
        ...

    async def close(self) -> None:
        """Stop the engine and its processes. Safe to call twice."""
        ...
