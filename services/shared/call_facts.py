"""What a gRPC call says of itself beside its messages."""

import grpc

OK = "OK"


def call_headers(context: grpc.aio.ServicerContext) -> dict[str, str]:
    """The text headers, with lower-case names."""
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}


def call_status(context: grpc.aio.ServicerContext, answered: bool) -> str:
    """How a call ended that is over, e.g. `OK`; `answered` is whether its handler came to its end."""
    if context.code():
        name: str = context.code().name
        return name
    if answered:
        return OK
    # gRPC gives no code to a call that ended from outside
    return "DEADLINE_EXCEEDED" if context.time_remaining() == 0 else "CANCELLED"
