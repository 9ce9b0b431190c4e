"""The errors that a caller may see, each with its gRPC status and its details.

ServiceError
  InvalidArgument       a field is wrong; carries one violation a field
  NotFound              a model or policy that is not here
  AlreadyExists         an id that is in use
  FailedPrecondition    a right request at a wrong moment, or for another server
  Aborted               somebody else changed it first
  ResourceExhausted     too large, or over a quota; with RetryInfo when waiting helps
  DeadlineExceeded      its time ran out, or will, before its turn comes
  Unavailable           draining, starting, or no runtime left; worth a retry
  Unauthenticated       nobody can tell who calls
  PermissionDenied      this server, or its user, may not do that
  DataLoss              what is stored is not what was published
"""

from collections.abc import Sequence
from dataclasses import dataclass

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from services.shared.durations import to_duration

RETRY_AFTER_SECONDS = 1
DOMAIN = "lookaheadkv"


@dataclass(frozen=True)
class Violation:
    """One wrong field of a request: its path, and what is wrong with its value and how to mend it."""

    field: str
    description: str


class ServiceError(Exception):
    """An expected failure. The interceptor turns it into its gRPC status."""

    code = code_pb2.UNKNOWN

    def details(self) -> Sequence[Message]:
        """The google.rpc messages that a program can act upon."""
        return ()

    def to_status(self) -> grpc.Status:
        """This error as a gRPC status with details."""
        packed = []
        for detail in self.details():
            holder = any_pb2.Any()
            holder.Pack(detail)
            packed.append(holder)
        return rpc_status.to_status(status_pb2.Status(code=self.code, message=str(self), details=packed))


class InvalidArgument(ServiceError):
    code = code_pb2.INVALID_ARGUMENT

    def __init__(self, *violations: Violation) -> None:
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in violations))
        self.violations = violations

    def details(self) -> Sequence[Message]:
        fields = [
            error_details_pb2.BadRequest.FieldViolation(field=v.field, description=v.description)
            for v in self.violations
        ]
        return (error_details_pb2.BadRequest(field_violations=fields),)


class NotFound(ServiceError):
    code = code_pb2.NOT_FOUND

    def __init__(self, field: str, name: str, known: Sequence[str] = (), sentence: str = "") -> None:
        super().__init__(sentence or f"{field}: {name!r} is not here; known: {', '.join(known) or 'none'}")
        self.resource = error_details_pb2.ResourceInfo(resource_type=field, resource_name=name)

    def details(self) -> Sequence[Message]:
        return (self.resource,)


class AlreadyExists(ServiceError):
    code = code_pb2.ALREADY_EXISTS

    def __init__(self, field: str, name: str, description: str) -> None:
        super().__init__(f"{field}: {name!r} {description}")
        self.resource = error_details_pb2.ResourceInfo(resource_type=field, resource_name=name)

    def details(self) -> Sequence[Message]:
        return (self.resource,)


class Explained(ServiceError):
    """An error with a `reason` that a program can tell from others, e.g. `ADAPTER_MISMATCH`."""

    def __init__(self, sentence: str, reason: str = "", **metadata: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.metadata = metadata

    def details(self) -> Sequence[Message]:
        if not self.reason:
            return ()
        return (error_details_pb2.ErrorInfo(reason=self.reason, domain=DOMAIN, metadata=self.metadata),)


class FailedPrecondition(Explained):
    code = code_pb2.FAILED_PRECONDITION


class Aborted(ServiceError):
    code = code_pb2.ABORTED


class Unauthenticated(ServiceError):
    code = code_pb2.UNAUTHENTICATED


class PermissionDenied(ServiceError):
    code = code_pb2.PERMISSION_DENIED


class DataLoss(Explained):
    code = code_pb2.DATA_LOSS


class ResourceExhausted(Explained):
    """Of the `subject`'s quota when one is named; without `retry_after_seconds` waiting does not help."""

    code = code_pb2.RESOURCE_EXHAUSTED

    def __init__(
        self,
        sentence: str,
        reason: str = "",
        *,
        subject: str = "",
        retry_after_seconds: float | None = None,
        **metadata: str,
    ) -> None:
        super().__init__(sentence, reason, **metadata)
        self.subject = subject
        self.retry_after_seconds = retry_after_seconds

    def details(self) -> Sequence[Message]:
        found = [*super().details()]
        if self.subject:
            violation = error_details_pb2.QuotaFailure.Violation(subject=self.subject, description=str(self))
            found.append(error_details_pb2.QuotaFailure(violations=[violation]))
        if self.retry_after_seconds is not None:
            found.append(error_details_pb2.RetryInfo(retry_delay=to_duration(self.retry_after_seconds)))
        return found


class DeadlineExceeded(ServiceError):
    code = code_pb2.DEADLINE_EXCEEDED


class Unavailable(ServiceError):
    code = code_pb2.UNAVAILABLE

    def details(self) -> Sequence[Message]:
        delay = duration_pb2.Duration(seconds=RETRY_AFTER_SECONDS)
        return (error_details_pb2.RetryInfo(retry_delay=delay),)
