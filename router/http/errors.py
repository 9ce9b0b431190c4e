"""Errors as OpenAI's clients know them: the status, the object, and when to come again."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
import structlog
from fastapi.exceptions import RequestValidationError
from google.rpc import code_pb2, error_details_pb2, status_pb2
from starlette.exceptions import HTTPException
from starlette.responses import Response

from router.http.answers import Error, ErrorBody
from router.http.fields import field_name, violation
from router.runtime_client import client_status
from services.shared.durations import to_seconds
from services.shared.errors import InvalidArgument, ServiceError, Violation

logger = structlog.get_logger()

REASON_HEADER = "x-lookaheadkv-reason"
DETAILS_KEY = "grpc-status-details-bin"
# by gRPC code: the status, the type of the error, and the code where nothing more special is known
MAPPED: Mapping[int, tuple[int, str, str]] = {
    code_pb2.CANCELLED: (499, "server_error", "cancelled"),
    code_pb2.INVALID_ARGUMENT: (400, "invalid_request_error", "invalid_value"),
    code_pb2.DEADLINE_EXCEEDED: (504, "server_error", "deadline_exceeded"),
    code_pb2.NOT_FOUND: (404, "invalid_request_error", "not_found"),
    code_pb2.ALREADY_EXISTS: (409, "invalid_request_error", "already_exists"),
    code_pb2.PERMISSION_DENIED: (403, "permission_error", "permission_denied"),
    code_pb2.RESOURCE_EXHAUSTED: (429, "rate_limit_error", "rate_limit_exceeded"),
    code_pb2.FAILED_PRECONDITION: (400, "invalid_request_error", "failed_precondition"),
    code_pb2.ABORTED: (409, "invalid_request_error", "aborted"),
    code_pb2.OUT_OF_RANGE: (400, "invalid_request_error", "out_of_range"),
    code_pb2.UNIMPLEMENTED: (501, "invalid_request_error", "unimplemented"),
    code_pb2.UNAVAILABLE: (503, "server_error", "unavailable"),
    code_pb2.UNAUTHENTICATED: (401, "authentication_error", "invalid_api_key"),
}
ELSE = (500, "server_error", "internal_error")
UNREADABLE = "cannot be read; send JSON in UTF-8, a few levels deep"
NAMES_BY_STATUS = {408: "DEADLINE_EXCEEDED", 404: "NOT_FOUND", 405: "UNIMPLEMENTED", 413: "RESOURCE_EXHAUSTED"}


@dataclass(frozen=True)
class Failure:
    """An error on its way to a client. `name` is that of its gRPC code, for the log."""

    status: int
    name: str
    error: Error
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """For a client that has got nothing yet."""
        body = ErrorBody(error=self.error).model_dump_json()
        return Response(body, self.status, dict(self.headers), media_type="application/json")

    def event(self) -> bytes:
        """For a client whose stream has begun."""
        return b"data: " + ErrorBody(error=self.error).model_dump_json().encode() + b"\n\n"


class HttpError(Exception):
    """An error that only HTTP knows: a body that is too large, say."""

    def __init__(self, status: int, sentence: str, code: str) -> None:
        super().__init__(sentence)
        self.failure = http_failure(status, sentence, code)


def failure_of(error: Exception) -> Failure:
    """What the client is told. What nobody expected is logged in full, and told as "internal error"."""
    match error:
        case HttpError():
            return error.failure
        case ServiceError():
            return _of_status(error.to_status())
        case grpc.aio.AioRpcError():
            return _of_status(client_status(error))
        case RequestValidationError():
            return _of_status(InvalidArgument(*map(violation, error.errors())).to_status())
        case HTTPException(status_code=400):
            return _of_status(InvalidArgument(Violation("body", UNREADABLE)).to_status())
        case HTTPException():
            return http_failure(error.status_code, str(error.detail), None, error.headers)
    logger.error("unhandled error", exc_info=error)
    return Failure(500, "INTERNAL", Error(message="internal error", type=ELSE[1], param=None, code=ELSE[2]))


def http_failure(status: int, sentence: str, code: str | None, headers: Mapping[str, str] | None = None) -> Failure:
    """An error that has an HTTP status, and none of gRPC."""
    name = NAMES_BY_STATUS.get(status, "INVALID_ARGUMENT")
    error = Error(message=sentence, type="invalid_request_error", param=None, code=code)
    return Failure(status, name, error, headers or {})


def _of_status(status: grpc.Status) -> Failure:
    trailers = dict(status.trailing_metadata)
    rich = status_pb2.Status.FromString(trailers[DETAILS_KEY])
    http_status, kind, code = MAPPED.get(rich.code, ELSE)
    details = _Details(rich)
    error = Error(message=details.sentence(rich.message), type=kind, param=details.field(), code=details.code() or code)
    return Failure(http_status, status.code.name, error, _headers(http_status, status.code.name, details))


class _Details:
    """The google.rpc messages of a status that HTTP has a place for."""

    def __init__(self, status: status_pb2.Status) -> None:
        self._status = status
        self.violations = self._find(error_details_pb2.BadRequest()).field_violations
        self.resource = self._find(error_details_pb2.ResourceInfo())
        self.reason: str = self._find(error_details_pb2.ErrorInfo()).reason
        retry = self._find(error_details_pb2.RetryInfo())
        self.retry_seconds = to_seconds(retry.retry_delay) if retry.HasField("retry_delay") else None

    def sentence(self, message: str) -> str:
        """The error's own, with the fields as they are called here."""
        wrong = [f"{field_name(violation.field)}: {violation.description}" for violation in self.violations]
        return "; ".join(wrong) or message

    def field(self) -> str | None:
        """The first one that is wrong."""
        first = self.violations[0].field if self.violations else self.resource.resource_type
        return field_name(first) or None

    def code(self) -> str:
        """What a program may tell it by; empty where only the status says that."""
        return "model_not_found" if self.resource.resource_type == "model" else self.reason.lower()

    def _find(self, empty: Any) -> Any:
        for detail in self._status.details:
            if detail.Unpack(empty):
                break
        return empty


def _headers(status: int, name: str, details: _Details) -> dict[str, str]:
    headers = {REASON_HEADER: details.reason or name}
    if details.retry_seconds is not None:
        headers["retry-after"] = str(max(1, math.ceil(details.retry_seconds)))
    elif status == 429:
        # OpenAI's clients would come again by themselves, and no wait helps
        headers["x-should-retry"] = "false"
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    if status == 503:
        # the next request had better go to another router
        headers["connection"] = "close"
    return headers
