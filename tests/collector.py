"""An OpenTelemetry collector that keeps what it is sent."""

import threading
from collections.abc import Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tests.processes import poll


@dataclass(frozen=True)
class Span:
    """One that arrived, with the name of the process that sent it. Times are in seconds since the epoch."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    began: float
    ended: float
    failed: bool
    attributes: Mapping[str, Any]


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps spans, from whichever process they come."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[Span] = []
        # everything as it came, for a look at what must not be in there
        self.raw = b""

    def Export(self, request: pb.ExportTraceServiceRequest, context: grpc.ServicerContext) -> Any:
        with self._lock:
            self._spans += _spans(request)
            self.raw += request.SerializeToString()
        return pb.ExportTraceServiceResponse()

    @property
    def spans(self) -> list[Span]:
        with self._lock:
            return list(self._spans)

    def trace(self, request_id: str, count: int) -> list[Span]:
        """All spans of the trace of this request, once there are so many."""

        def found() -> list[Span]:
            ids = {span.trace_id for span in self.spans if request_id in span.attributes.values()}
            spans = [span for span in self.spans if span.trace_id in ids]
            return spans if len(spans) >= count else []

        spans: list[Span] = poll(found, 30, lambda: f"not {count} spans of {request_id}: {self.spans}")
        return spans


@contextmanager
def running_collector(port: int = 0) -> Iterator[tuple[Collector, str]]:
    """A collector, and its endpoint."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    collector = Collector()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield collector, f"http://127.0.0.1:{bound}"
    finally:
        server.stop(None).wait()


def _spans(request: pb.ExportTraceServiceRequest) -> Iterator[Span]:
    for resource in request.resource_spans:
        service = _dict(resource.resource.attributes)["service.name"]
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    service,
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.kind,
                    span.start_time_unix_nano / 1e9,
                    span.end_time_unix_nano / 1e9,
                    span.status.code == 2,
                    _dict(span.attributes),
                )


def _dict(attributes: Any) -> dict[str, Any]:
    return {each.key: _plain(each) for each in attributes}


def _plain(attribute: KeyValue) -> Any:
    value: AnyValue = attribute.value
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(getattr(one, str(one.WhichOneof("value"))) for one in value.array_value.values)
    return getattr(value, str(kind))
