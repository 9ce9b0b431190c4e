"""What the routes need of the rest of the router, and what an operator decides about them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from protos.generation.v1 import generation_pb2
from router.http.chat_template import ChatTemplate
from router.http.shapes import Responses
from router.http.streaming import Pace
from router.identity import Caller, CallerResolver
from router.request_record import RequestRecord, Requests
from services.shared.generation import ModelLimits


class Core(Protocol):
    """What serves a request, over whichever protocol it came: `router.generation.Generation`."""

    def respond(
        self,
        request: generation_pb2.GenerateRequest,
        caller: Caller,
        time_remaining: Callable[[], float | None],
        record: RequestRecord,
    ) -> Responses: ...


@dataclass(frozen=True)
class HttpOptions:
    """What an operator decides. `chat_tokens` is how long an answer may get when a chat names no maximum."""

    max_body_bytes: int
    chat_tokens: int
    pace: Pace
    docs: bool


@dataclass(frozen=True)
class HttpParts:
    """What the routes answer from. `objection` says why this router is not ready; empty when it is."""

    generation: Core
    callers: CallerResolver
    requests: Requests
    template: ChatTemplate | None
    limits: Callable[[], ModelLimits]
    objection: Callable[[], str]
