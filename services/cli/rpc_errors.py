"""What a failed call means to who typed the command."""

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from services.shared.durations import to_seconds

NOT_REACHED = ("failed to connect", "Connection refused", "DNS resolution failed", "tcp handshaker")
NO_GRPC = ("Trying to connect an http1.x server", "HTTP status code", "Missing :te", "protocol error")


def sentence_of(error: grpc.RpcError, target: str) -> str:
    """The server's words, or what is wrong with the way to it, and what to do."""
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE and any(words in details for words in NOT_REACHED):
        return f"nothing answers at {target}; start it, e.g. with `lookaheadkv serve`, or name another one by --router"
    if any(words in details for words in NO_GRPC):
        return f"{target} does not speak gRPC ({details}); name the router's gRPC port"
    wait = _retry_seconds(error)
    again = "" if wait is None else f"; try again in {wait:.3g} s"
    return f"{code.name}: {details}{again}"


def _retry_seconds(error: grpc.RpcError) -> float | None:
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            return to_seconds(info.retry_delay)
    return None
