"""What a client of the router is told when a runtime's call fails."""

import grpc
import pytest
from grpc.aio import AioRpcError, Metadata

from router.runtime_client import client_status
from services.shared.errors import InvalidArgument, NotFound, ServiceError, Unavailable, Violation


def spoken(error: ServiceError) -> AioRpcError:
    """The error as it arrives from a runtime."""
    status = error.to_status()
    return AioRpcError(status.code, Metadata(), Metadata(*status.trailing_metadata), status.details)


def silent(code: grpc.StatusCode, details: str = "Socket closed") -> AioRpcError:
    """The error that gRPC makes up when nobody answered."""
    return AioRpcError(code, Metadata(), Metadata(), details)


@pytest.mark.parametrize(
    "error",
    [
        InvalidArgument(Violation("sampling.top_p", "is 2"), Violation("text", "is empty")),
        NotFound("kv.policy", "windw", ["window"]),
        Unavailable("this runtime is draining"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_the_runtime_passes_with_its_details(error):
    assert client_status(spoken(error)) == error.to_status()


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
def test_a_runtime_that_went_away_is_unavailable_with_a_time_to_retry(code):
    status = client_status(silent(code))
    assert status.code is grpc.StatusCode.UNAVAILABLE
    assert status.trailing_metadata == Unavailable(status.details).to_status().trailing_metadata
    # addresses and the like stay inside
    assert "Socket" not in status.details


@pytest.mark.parametrize("code", [grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.INTERNAL])
def test_other_codes_pass_as_they_are(code):
    status = client_status(silent(code, "why"))
    assert (status.code, status.details) == (code, "why")
