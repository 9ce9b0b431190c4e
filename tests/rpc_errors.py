"""Errors as a gRPC client sees them, with their details."""

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc.aio import AioRpcError, Metadata
from grpc_status import rpc_status

from services.shared.durations import to_duration


def rpc_error(code: int, sentence: str, *details: Message) -> AioRpcError:
    """What a call raises that ended with this code of google.rpc."""
    packed = [Any() for _ in details]
    for holder, detail in zip(packed, details, strict=True):
        holder.Pack(detail)
    status = rpc_status.to_status(status_pb2.Status(code=code, message=sentence, details=packed))
    return AioRpcError(status.code, Metadata(), Metadata(*status.trailing_metadata), status.details)


def over_quota(seconds: float) -> AioRpcError:
    """A limit on requests, which lets more through after so long."""
    return rpc_error(
        code_pb2.RESOURCE_EXHAUSTED,
        "acme has 5 requests a minute",
        error_details_pb2.ErrorInfo(reason="REQUESTS_PER_MINUTE"),
        error_details_pb2.RetryInfo(retry_delay=to_duration(seconds)),
    )
