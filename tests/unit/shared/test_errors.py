"""Each expected failure has its status, and details that a program can act upon."""

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from services.shared.errors import (
    Aborted,
    AlreadyExists,
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    ServiceError,
    Unauthenticated,
    Unavailable,
    Violation,
)

ERRORS = [
    (InvalidArgument(Violation("a", "is wrong")), grpc.StatusCode.INVALID_ARGUMENT),
    (NotFound("model", "x", ["y"]), grpc.StatusCode.NOT_FOUND),
    (AlreadyExists("request_id", "x", "is in flight"), grpc.StatusCode.ALREADY_EXISTS),
    (FailedPrecondition("no engine"), grpc.StatusCode.FAILED_PRECONDITION),
    (Aborted("somebody else moved it"), grpc.StatusCode.ABORTED),
    (Unauthenticated("no key"), grpc.StatusCode.UNAUTHENTICATED),
    (PermissionDenied("a reader"), grpc.StatusCode.PERMISSION_DENIED),
    (DataLoss("damaged"), grpc.StatusCode.DATA_LOSS),
    (ResourceExhausted("too large"), grpc.StatusCode.RESOURCE_EXHAUSTED),
    (DeadlineExceeded("too late"), grpc.StatusCode.DEADLINE_EXCEEDED),
    (Unavailable("draining"), grpc.StatusCode.UNAVAILABLE),
]


@pytest.mark.parametrize(("error", "code"), ERRORS)
def test_error_becomes_its_status_with_its_sentence(error, code):
    status = error.to_status()
    assert (status.code, status.details) == (code, str(error))


def test_every_error_of_the_tree_is_covered_here():
    assert {type(error) for error, _ in ERRORS} == leaves(ServiceError)


def leaves(base: type[ServiceError]) -> set[type[ServiceError]]:
    below = base.__subclasses__()
    return {leaf for cls in below for leaf in leaves(cls)} if below else {base}


def details(error: ServiceError) -> list[str]:
    return [type(detail).__name__ for detail in error.details()]


def test_invalid_argument_names_every_field():
    error = InvalidArgument(Violation("a", "is wrong"), Violation("b", "is missing"))
    (bad_request,) = error.details()
    assert str(error) == "a: is wrong; b: is missing"
    assert [violation.field for violation in bad_request.field_violations] == ["a", "b"]


def test_not_found_lists_what_is_known():
    assert str(NotFound("model", "x", ["y", "z"])) == "model: 'x' is not here; known: y, z"
    assert str(NotFound("model", "x", [])).endswith("known: none")


def test_reason_and_its_data_are_for_programs():
    (info,) = FailedPrecondition("of another model", "ADAPTER_MISMATCH", found="x").details()
    assert (info.reason, dict(info.metadata)) == ("ADAPTER_MISMATCH", {"found": "x"})


def test_retry_is_advised_only_where_waiting_helps():
    advised = {type(error) for error, _ in ERRORS if "RetryInfo" in details(error)}
    assert advised == {Unavailable}


def test_a_quota_that_is_used_up_names_whose_it_is_its_reason_and_when_to_come_back():
    error = ResourceExhausted("60 a minute", "RATE", subject="tenants/a", retry_after_seconds=1.5, limit="60")
    info, quota, retry = error.details()
    assert (info.reason, dict(info.metadata)) == ("RATE", {"limit": "60"})
    assert [(violation.subject, violation.description) for violation in quota.violations] == [
        ("tenants/a", "60 a minute")
    ]
    assert retry.retry_delay.ToMilliseconds() == 1500


def test_details_travel_in_the_status():
    metadata = Unavailable("draining").to_status().trailing_metadata

    class Received:
        def code(self):
            return grpc.StatusCode.UNAVAILABLE

        def details(self):
            return "draining"

        def trailing_metadata(self):
            return metadata

    retry = error_details_pb2.RetryInfo()
    assert rpc_status.from_call(Received()).details[0].Unpack(retry)
    assert retry.retry_delay.seconds > 0
