"""One log line per request."""

import time
from dataclasses import dataclass, field

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
    answered: bool = False
    tokenizing_seconds: float = 0.0
    # from the request's arrival to its forwarding, without tokenization
    own_seconds: float = 0.0

    def forwarded(self) -> None:
        """The request goes to its runtime now."""
        self.own_seconds = time.monotonic() - self.started - self.tokenizing_seconds

    def write(self, status: str) -> None:
        """Log one line. For the end of the request, when its status is known: the name of a gRPC code."""
        logger.info(
            "request",
            request_id=self.request_id,
            tenant=self.tenant,
            prompt_tokens=self.prompt_tokens,
            budget_tokens=self.budget_tokens,
            budget_rule=self.budget_rule,
            target=self.target,
            status=status,
            tokenizing_seconds=round(self.tokenizing_seconds, 6),
            own_seconds=round(self.own_seconds, 6),
            seconds=round(time.monotonic() - self.started, 6),
        )
