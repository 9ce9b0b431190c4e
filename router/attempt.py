"""One try to have a runtime answer a request."""

from dataclasses import dataclass

from opentelemetry.trace import Span

from services.shared.tracing.context import Headers, headers_of


@dataclass(frozen=True)
class Attempt:
    """A call on the runtime at `target`. `headers` go with it, so that the runtime goes on with the trace."""

    span: Span
    target: str
    number: int

    @property
    def headers(self) -> Headers:
        return headers_of(self.span)

    def end(self, status: str) -> None:
        """The call is over with this gRPC status."""
        if self.span.is_recording():
            host, _, port = self.target.rpartition(":")
            self.span.set_attributes(
                {
                    "rpc.system.name": "grpc",
                    "rpc.response.status_code": status,
                    "server.address": host,
                    "server.port": int(port),
                    "lookaheadkv.attempt": self.number,
                }
            )
        self.span.end()
