"""What a failed call means to who typed the command."""

from collections.abc import Sequence

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from services.shared.durations import to_seconds

NOT_REACHED = ("failed to connect", "Connection refused", "DNS resolution failed", "tcp handshaker", "No route to host")
NO_GRPC = (
    "Trying to connect an http1.x server",
    "HTTP status code",
    "Missing :te",
    "protocol error",
    "invalid content-type",
    "Failed parsing HTTP/2",
    "settings frame",
    "Received http2 header with status",
)
BROKEN = ("Socket closed", "Connection reset", "Stream removed", "recvmsg", "GOAWAY", "Broken pipe")
TLS = ("handshake", "SSL", "certificate", "WRONG_VERSION_NUMBER")
# what a user can do that the server's sentence does not say
REMEDIES = {
    grpc.StatusCode.UNAUTHENTICATED: "; set LOOKAHEADKV_API_KEY",
    grpc.StatusCode.DEADLINE_EXCEEDED: "; allow more with --timeout, or ask for a shorter answer",
    grpc.StatusCode.UNIMPLEMENTED: "; name a router or a runtime by --router, not another server",
}


def sentence_of(error: grpc.RpcError, target: str) -> str:
    """The server's words, or what is wrong with the way to it, and what to do; a line for each wrong field."""
    code, details = error.code(), error.details() or ""
    return _of_the_way(code, details, target) or _of_the_server(error, code, details)


def _of_the_way(code: grpc.StatusCode, details: str, target: str) -> str:
    """Empty when the server itself has spoken."""
    if code not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL):
        return ""
    if _says(details, NO_GRPC):
        return f"{target} does not speak gRPC ({details}); name the gRPC port of a router or a runtime by --router"
    if _says(details, TLS):
        return f"no TLS with {target} ({details}); check --router-ca-file, and that the port is one with TLS"
    if _says(details, NOT_REACHED):
        return f"nothing answers at {target}; start it, e.g. with `lookaheadkv serve`, or name another one by --router"
    if _says(details, BROKEN):
        return f"{target} has broken off ({details}); look at its log, and send the request again"
    return ""


def _of_the_server(error: grpc.RpcError, code: grpc.StatusCode, details: str) -> str:
    request, retry = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    messages = _unpacked(error, (request, retry))
    if "BadRequest" in messages:
        lines = [f"  {wrong.field}: {wrong.description}" for wrong in request.field_violations]
        return "\n".join((f"{code.name}: the request was refused", *lines))
    again = f"; try again in {to_seconds(retry.retry_delay):.3g} s" if "RetryInfo" in messages else ""
    return f"{code.name}: {details}{again}{REMEDIES.get(code, '')}"


def _unpacked(error: grpc.RpcError, wanted: Sequence[Message]) -> set[str]:
    """The names of those details that came, which are filled in."""
    status = rpc_status.from_call(error)
    details = status.details if status else ()
    return {message.DESCRIPTOR.name for message in wanted for detail in details if detail.Unpack(message)}


def _says(details: str, any_of: Sequence[str]) -> bool:
    return any(words in details for words in any_of)
