"""What each error becomes for a client of OpenAI's API."""

import json

import pytest
from structlog.testing import capture_logs

from router.http.errors import failure_of
from services.shared.errors import (
    Aborted,
    AlreadyExists,
    DataLoss,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Violation,
)
from tests.rpc_errors import over_quota


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (InvalidArgument(Violation("kv.policy", "is wrong")), 400, "invalid_request_error", "invalid_value"),
        (Unauthenticated("who?"), 401, "authentication_error", "invalid_api_key"),
        (PermissionDenied("no"), 403, "permission_error", "permission_denied"),
        (NotFound("model", "x", ["tiny"]), 404, "invalid_request_error", "model_not_found"),
        (NotFound("kv.policy", "x"), 404, "invalid_request_error", "not_found"),
        (AlreadyExists("request_id", "x", "is in flight"), 409, "invalid_request_error", "already_exists"),
        (Aborted("stale"), 409, "invalid_request_error", "aborted"),
        (FailedPrecondition("no", "ADAPTER_MISMATCH"), 400, "invalid_request_error", "adapter_mismatch"),
        (ResourceExhausted("full"), 429, "rate_limit_error", "rate_limit_exceeded"),
        (over_quota(2.1), 429, "rate_limit_error", "requests_per_minute"),
        (Unavailable("gone"), 503, "server_error", "unavailable"),
        (DataLoss("broken"), 500, "server_error", "internal_error"),
    ],
)
def test_each_error_has_its_status_type_and_code(error, status, kind, code):
    failure = failure_of(error)
    assert (failure.status, failure.error.type, failure.error.code) == (status, kind, code)
    assert json.loads(bytes(failure.response().body)) == {"error": failure.error.model_dump()}
    assert failure.event() == b"data: " + bytes(failure.response().body) + b"\n\n"


def test_fields_are_called_as_they_are_in_a_body():
    wrong = [Violation("sampling.max_new_tokens", "0: too few"), Violation("text", "is empty"), Violation("n.m", "no")]
    error = failure_of(InvalidArgument(*wrong, Violation("sampling.top_p", "2: too large"))).error
    assert error.message == "max_tokens: 0: too few; prompt: is empty; n.m: no; top_p: 2: too large"
    assert error.param == "max_tokens"
    assert failure_of(NotFound("model", "x")).error.param == "model"
    assert failure_of(Unavailable("gone")).error.param is None


def test_a_client_is_told_when_to_come_again_and_when_that_never_helps():
    soon, never, gone = (
        failure_of(over_quota(2.1)),
        failure_of(ResourceExhausted("full")),
        failure_of(Unavailable("")),
    )
    assert (soon.headers["retry-after"], "x-should-retry" in soon.headers) == ("3", False)
    assert ("retry-after" in never.headers, never.headers["x-should-retry"]) == (False, "false")
    assert (gone.headers["retry-after"], gone.headers["connection"]) == ("1", "close")
    assert soon.headers["x-lookaheadkv-reason"] == "REQUESTS_PER_MINUTE"
    assert never.headers["x-lookaheadkv-reason"] == "RESOURCE_EXHAUSTED"


def test_what_nobody_expected_is_logged_in_full_and_told_in_two_words():
    with capture_logs() as logs:
        failure = failure_of(RuntimeError("the secret"))
    assert (failure.status, failure.name, failure.error.message) == (500, "INTERNAL", "internal error")
    assert str(logs[0]["exc_info"]) == "the secret"
