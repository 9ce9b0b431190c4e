"""What a client of the router is told when a runtime's call fails."""

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2
from grpc.aio import AioRpcError, Metadata

from router.runtime_client import client_error
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
    passed = client_error(spoken(error)).to_status()
    assert passed == error.to_status()


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
def test_a_runtime_that_went_away_is_unavailable_with_a_time_to_retry(code):
    error = client_error(silent(code))
    assert (error.code, error.to_status().code) == (code_pb2.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE)
    (detail,) = error.details()
    assert isinstance(detail, error_details_pb2.RetryInfo)
    # addresses of the cluster stay inside
    assert "Socket" not in str(error)


@pytest.mark.parametrize("code", [grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.INTERNAL])
def test_other_codes_pass_as_they_are(code):
    status = client_error(silent(code, "why")).to_status()
    assert (status.code, status.details) == (code, "why")
