"""One request and its answer, as far as both ends of the stack need to know of it."""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Message, Scope, Send

from router.http.errors import Failure, failure_of
from router.identity import Caller
from router.request_record import CHAT, HTTP, TEXT_COMPLETION, RequestRecord, Requests
from services.shared.errors import InvalidArgument, ServiceError, Violation

REQUEST_ID_HEADER = "x-request-id"
# Envoy and the gateways that are made of it tell with it how long they will wait
DEADLINE_HEADER = "x-envoy-expected-rq-timeout-ms"
MAX_ID_CHARACTERS = 128
STATE_KEY = "exchange"
CHAT_PREFIX = "/v1/chat/"


@dataclass
class Exchange:
    """From the request's head to the end of its answer."""

    headers: Mapping[str, str]
    request_id: str
    record: RequestRecord
    arrived: float = field(default_factory=time.monotonic)
    # known once the gate has told
    caller: Caller = Caller("")
    # of the answer: its head was sent, and its end
    begun: bool = False
    ended: bool = False
    streams: bool = False
    failed: str = ""

    @classmethod
    def of(cls, scope: Scope, requests: Requests) -> "Exchange":
        """A new one for this request; `found` finds it again."""
        # of two headers with one name the last one holds, as with gRPC
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        record = requests.start(headers, HTTP, CHAT if scope["path"].startswith(CHAT_PREFIX) else TEXT_COMPLETION)
        exchange = cls(headers, headers.get(REQUEST_ID_HEADER) or uuid.uuid4().hex, record)
        exchange.record.request_id = exchange.request_id[:MAX_ID_CHARACTERS]
        scope.setdefault("state", {})[STATE_KEY] = exchange
        return exchange

    @staticmethod
    def found(scope: Scope) -> "Exchange | None":
        """That of a request; None for one that asks for no model."""
        return scope.get("state", {}).get(STATE_KEY)

    @property
    def status(self) -> str:
        """How it ended: the name of a gRPC code."""
        return self.failed or ("OK" if self.record.answered else "CANCELLED")

    def complete(self) -> None:
        """The whole request is here; how long that took is the client's affair."""
        self.record.started = time.monotonic()

    def fail(self, error: Exception) -> Failure:
        """What the client is told of the error, with which this ends."""
        failure = failure_of(error)
        self.failed = failure.name
        if isinstance(error, ServiceError):
            self.record.refused(error)
        elif not self.record.attempts:
            self.record.rejection = failure.name.lower()
        return failure

    def milliseconds(self, header: str) -> float | None:
        """Of a header; None where it is absent. Raises InvalidArgument."""
        given = self.headers.get(header)
        if not given:
            return None
        try:
            value = float(given)
        except ValueError:
            value = 0.0
        if not 0 < value < 1e12:
            raise InvalidArgument(Violation(header, f"{given[:64]!r} is not a number of milliseconds above 0"))
        return value

    def time_remaining(self) -> float | None:
        """Seconds until nobody waits for the answer any more; None when that is not known. Raises InvalidArgument."""
        given = self.milliseconds(DEADLINE_HEADER)
        return None if given is None else max(0.0, self.arrived + given / 1000 - time.monotonic())

    def sender(self, send: Send) -> Send:
        """`send`, with the request's id in the head, and noted how far it came."""
        named = (REQUEST_ID_HEADER.encode(), self.request_id.encode("latin-1"))

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.begun, self.streams = True, _streams(message["headers"])
                message = {**message, "headers": [*message["headers"], named]}
            elif not message.get("more_body", False):
                self.ended = True
            await send(message)

        return noting


def _streams(headers: Sequence[Any]) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers)
