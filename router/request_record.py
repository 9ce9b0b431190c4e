"""What is known of one request gathers in its record; log, metrics and spans are told when it begins and ends."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from google.rpc import code_pb2
from opentelemetry.trace import INVALID_SPAN, NoOpTracer, Span, SpanKind, Tracer

from protos.generation.v1 import generation_pb2
from router.attempt import Attempt
from router.budgets.base import NoBudget
from router.decisions import Placed
from services.shared.errors import ServiceError
from services.shared.tracing.context import child_of, parent_of, trace_id_of

# protocols
GRPC, HTTP = "grpc", "http"
# what is done, in the words of OpenTelemetry's conventions for generative AI
TEXT_COMPLETION, CHAT = "text_completion", "chat"


class RequestObserver(Protocol):
    """Is told of every request; on the event loop, so it must be quick."""

    def started(self, record: "RequestRecord") -> None: ...

    def finished(self, record: "RequestRecord") -> None: ...


@dataclass(frozen=True)
class Stage:
    """A part of a request's time, of time.monotonic."""

    name: str
    began: float
    ended: float


@dataclass(eq=False)
class RequestRecord:
    """One request, from its arrival to `finish`. Filled while it goes on; there is no prompt text in it.

    Moments are of time.monotonic. `own_seconds` is from the arrival to the forwarding, without tokenization and queue.
    `rejection` is why the router refused it: a short word that a program can count by.
    """

    protocol: str = GRPC
    operation: str = TEXT_COMPLETION
    span: Span = INVALID_SPAN
    tracer: Tracer = field(default_factory=NoOpTracer)
    observers: Sequence[RequestObserver] = ()
    started: float = field(default_factory=time.monotonic)
    started_ns: int = field(default_factory=time.time_ns)
    request_id: str = ""
    tenant: str = ""
    model: str = ""
    adapter: str = ""
    prompt_tokens: int = 0
    placed: Placed | None = None
    target: str = ""
    attempts: int = 0
    stages: list[Stage] = field(default_factory=list)
    tokenizing_seconds: float = 0.0
    queue_seconds: float = 0.0
    own_seconds: float = 0.0
    first_at: float | None = None
    first_tokens: int = 0
    completion_tokens: int = 0
    complete: generation_pb2.GenerateComplete | None = None
    answered: bool = False
    rejection: str = ""
    status: str = ""
    ended: float = 0.0

    @property
    def trace_id(self) -> str:
        """32 hex digits; empty when the request is in no trace."""
        return trace_id_of(self.span)

    @property
    def seconds(self) -> float:
        """From arrival to end."""
        return self.ended - self.started

    @property
    def ttft_seconds(self) -> float | None:
        """From arrival to the first token; None when there was none."""
        return None if self.first_at is None else self.first_at - self.started

    @property
    def tpot_seconds(self) -> float | None:
        """For each token behind those of the first message; None when there were none."""
        if self.first_at is None or self.complete is None:
            return None
        behind = self.complete.usage.completion_tokens - self.first_tokens
        return (self.ended - self.first_at) / behind if behind > 0 else None

    @property
    def resident_tokens(self) -> int:
        """KV that the request holds on its runtime once it is prefilled, room for its answer included."""
        return self.placed.budget.tokens + self.placed.asked.new_tokens if self.placed and self.attempts else 0

    @property
    def streamed(self) -> bool:
        """Whether anything of the answer has come."""
        return self.first_at is not None or self.complete is not None

    @property
    def used_tokens(self) -> int:
        """Of prompt and answer; none before anything came of it."""
        return self.prompt_tokens + self.completion_tokens if self.streamed else 0

    def tokenized(self, seconds: float) -> None:
        """Its prompt has been turned into tokens, which took so long."""
        self.tokenizing_seconds += seconds
        self._spent("tokenize", seconds)

    def queued(self, seconds: float) -> None:
        """It has its turn, after so long."""
        self.queue_seconds += seconds
        self._spent("queue", seconds)

    def attempt(self, target: str) -> Attempt:
        """The request goes to this runtime now."""
        if not self.attempts:
            self.own_seconds = time.monotonic() - self.started - self.tokenizing_seconds - self.queue_seconds
        self.attempts += 1
        self.target = target
        return Attempt(self.tracer.start_span("generate", child_of(self.span), SpanKind.CLIENT), target, self.attempts)

    def received(self, response: generation_pb2.GenerateResponse) -> None:
        """A message of the answer."""
        if response.HasField("complete"):
            self.complete = response.complete
            self.completion_tokens = response.complete.usage.completion_tokens
            return
        self.completion_tokens += len(response.chunk.token_ids)
        if self.first_at is None:
            self.first_at = time.monotonic()
            self.first_tokens = self.completion_tokens

    def refused(self, error: ServiceError) -> None:
        """The router answers with this error; a rejection unless a runtime had the request."""
        if not self.attempts:
            self.rejection = rejection_of(error)

    def finish(self, status: str) -> None:
        """The request is over with this gRPC status, e.g. `OK`, whatever the protocol. Only the first call counts."""
        if not self.status:
            self.status, self.ended = status, time.monotonic()
            for observer in self.observers:
                observer.finished(self)

    def _spent(self, name: str, seconds: float) -> None:
        ended = time.monotonic()
        self.stages.append(Stage(name, ended - seconds, ended))


class Requests:
    """Begins a record for each request, and knows who is told of them."""

    def __init__(self, observers: Sequence[RequestObserver], tracer: Tracer) -> None:
        self._observers = observers
        self._tracer = tracer

    def start(
        self, headers: Mapping[str, str], protocol: str = GRPC, operation: str = TEXT_COMPLETION
    ) -> RequestRecord:
        """The record of a request that has just arrived with these headers, whose names are in lower case."""
        span = self._tracer.start_span(operation, parent_of(headers), SpanKind.SERVER)
        record = RequestRecord(protocol, operation, span, self._tracer, self._observers)
        for observer in self._observers:
            observer.started(record)
        return record


def rejection_of(error: ServiceError) -> str:
    """The reason of an error in lower case: its own where it has one, else that of its status."""
    if isinstance(error.__cause__, NoBudget):
        return "slo"
    reason: str = getattr(error, "reason", "") or code_pb2.Code.Name(error.code)
    return reason.lower()
