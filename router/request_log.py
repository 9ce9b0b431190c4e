"""One log line per request."""

import time
from dataclasses import dataclass, field

import grpc
import structlog

logger = structlog.get_logger()


@dataclass
class RequestRecord:
    """What the log says of one request. Filled while the request goes on; there is no prompt text in it."""

    started: float = field(default_factory=time.monotonic)
    request_id: str = ""
    tenant: str = ""
    prompt_tokens: int = 0
    budget_tokens: int = 0
    budget_rule: str = ""
    target: str = ""
    attempts: int = 0
    streamed: bool = False
    completion_tokens: int = 0
    answered: bool = False
    tokenizing_seconds: float = 0.0
    queue_seconds: float = 0.0
    # from the request's arrival to its forwarding, without tokenization and the queue
    own_seconds: float = 0.0

    @property
    def used_tokens(self) -> int:
        """Of prompt and answer; none before anything came of it."""
        return self.prompt_tokens + self.completion_tokens if self.streamed else 0

    def forwarded(self) -> None:
        """The request goes to its runtime now."""
        waited = self.tokenizing_seconds + self.queue_seconds
        self.own_seconds = time.monotonic() - self.started - waited

    def write(self, context: grpc.aio.ServicerContext) -> None:
        """Log one line. For the end of the call, when its status is known."""
        logger.info(
            "request",
            request_id=self.request_id,
            tenant=self.tenant,
            prompt_tokens=self.prompt_tokens,
            budget_tokens=self.budget_tokens,
            budget_rule=self.budget_rule,
            target=self.target,
            attempts=self.attempts,
            status=self._status(context),
            tokenizing_seconds=round(self.tokenizing_seconds, 6),
            queue_seconds=round(self.queue_seconds, 6),
            own_seconds=round(self.own_seconds, 6),
            seconds=round(time.monotonic() - self.started, 6),
        )

    def _status(self, context: grpc.aio.ServicerContext) -> str:
        if context.code():
            return context.code().name
        if self.answered:
            return "OK"
        # gRPC gives no code to a call that ended from outside
        return "DEADLINE_EXCEEDED" if context.time_remaining() == 0 else "CANCELLED"
