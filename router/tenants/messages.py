"""Budgets as messages, and messages as policies."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import ValidationError

from protos.router.v1 import tenant_budget_pb2 as pb
from router.budgets.limits import LengthBucket, Limits, OnConflict, Priority
from router.tenants.checks import Problem
from router.tenants.inheritance import resource_name
from router.tenants.policy import BucketPolicy, LimitsPolicy, TenantPolicy
from router.tenants.store import AuditEntry, Observation, StoredPolicy
from services.shared.errors import InvalidArgument, Violation

NANOS = 1e9
# where wire and policy have different names
SECONDS = {"ttft": "ttft_seconds", "tpot": "tpot_seconds"}
ON_WIRE = {policy: wire for wire, policy in SECONDS.items()}
LISTS: Mapping[str | int, str] = {"length_buckets": "buckets", "adapter_aliases": "names"}
LIMIT_FIELDS: Mapping[str, str] = {
    field.name: SECONDS.get(field.name, field.name) for field in pb.BudgetLimits.DESCRIPTOR.fields
}
ON_CONFLICT = {pb.OnConflict.Value(f"ON_CONFLICT_{choice.name}"): choice.value for choice in OnConflict}
PRIORITY = {pb.PriorityClass.Value(f"PRIORITY_CLASS_{level.name}"): level.name.lower() for level in Priority}


def to_policy(budget: pb.TenantBudget) -> TenantPolicy:
    """What a budget says. Raises InvalidArgument with every wrong field."""
    plain = {
        "limits": _plain_limits(budget.limits),
        "model_rules": [{"model": rule.model, "limits": _plain_limits(rule.limits)} for rule in budget.model_rules],
    }
    try:
        return TenantPolicy.of(plain)
    except ValidationError as error:
        raise InvalidArgument(*(violation(problem) for problem in type_problems(error))) from error


def budget_message(stored: StoredPolicy, policy: TenantPolicy) -> pb.TenantBudget:
    """A policy as it lies in the store."""
    rules = [pb.ModelRule(model=rule.model, limits=limits_message(rule.limits)) for rule in policy.model_rules]
    return pb.TenantBudget(
        name=resource_name(stored.tenant),
        limits=limits_message(policy.limits),
        model_rules=rules,
        etag=stored.etag,
        update_time=timestamp(stored.time_ms),
        updated_by=stored.author,
    )


def limits_message(limits: LimitsPolicy | Limits) -> pb.BudgetLimits:
    """Limits of a level, or after inheritance; what is None stays absent."""
    message = pb.BudgetLimits()
    for wire, name in LIMIT_FIELDS.items():
        value = getattr(limits, name)
        if value is not None:
            _set(message, wire, value)
    return message


def write_message(entry: AuditEntry) -> pb.BudgetWrite:
    """An entry of the audit."""
    return pb.BudgetWrite(
        time=timestamp(entry.time_ms),
        author=entry.author,
        action=entry.action,
        name=resource_name(entry.tenant),
        generation=entry.generation,
        before=entry.before,
        after=entry.after,
    )


def router_message(seen: Observation) -> pb.RouterStatus:
    """What a router goes by."""
    return pb.RouterStatus(
        router=seen.router,
        observed_generation=seen.generation,
        observed_time=timestamp(seen.time_ms),
        source=seen.source,
        problem=seen.problem,
    )


def wire_origins(origins: Mapping[str, str]) -> dict[str, str]:
    """Origins by the names of the wire."""
    return {ON_WIRE.get(name, name): origin for name, origin in origins.items()}


def violation(problem: Problem) -> Violation:
    """A problem by its path on the wire."""
    if problem.path == ("name",):
        return Violation("name", problem.description)
    return Violation(".".join(("budget", *_wire_path(problem.path))), problem.description)


def type_problems(error: ValidationError) -> list[Problem]:
    """What pydantic found."""
    return [Problem(e["loc"], f"{_shown(e['input'])}: {e['msg']}") for e in error.errors(include_url=False)]


def timestamp(unix_ms: int) -> Timestamp:
    """Of Unix milliseconds."""
    return Timestamp(seconds=unix_ms // 1000, nanos=unix_ms % 1000 * 1_000_000)


def _wire_path(path: tuple[str | int, ...]) -> Iterator[str]:
    for part, following in zip(path, (*path[1:], None), strict=True):
        yield ON_WIRE.get(str(part), str(part))
        # a list that may be absent is a message around a list
        if part in LISTS and following is not None:
            yield LISTS[part]


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 64 else shown[:64] + "..."


def _plain_limits(limits: pb.BudgetLimits) -> dict[str, Any]:
    return {
        LIMIT_FIELDS[field.name]: FROM_WIRE.get(field.name, _same)(value)
        for field, value in limits.ListFields()
        if field.name in LIMIT_FIELDS
    }


def _same(value: Any) -> Any:
    return value


def _seconds(duration: Duration) -> float:
    return float(duration.ToNanoseconds() / NANOS)


def _plain_buckets(buckets: pb.LengthBuckets) -> list[dict[str, Any]]:
    names = ("max_prompt_tokens", "budget_tokens", "keep_ratio")
    return [
        {name: getattr(bucket, name) for name in names if name == names[0] or bucket.HasField(name)}
        for bucket in buckets.buckets
    ]


FROM_WIRE: Mapping[str, Callable[[Any], Any]] = {
    "ttft": _seconds,
    "tpot": _seconds,
    # a number that has no name is told as it is
    "on_conflict": lambda number: ON_CONFLICT.get(number, number),
    "priority": lambda number: PRIORITY.get(number, number),
    "length_buckets": _plain_buckets,
    "adapter_aliases": lambda aliases: list(aliases.names),
}


def _set(message: pb.BudgetLimits, wire: str, value: Any) -> None:
    match wire:
        case "ttft" | "tpot":
            getattr(message, wire).FromNanoseconds(round(value * NANOS))
        case "on_conflict":
            message.on_conflict = pb.OnConflict.Value(f"ON_CONFLICT_{value.name}")
        case "priority":
            message.priority = pb.PriorityClass.Value(f"PRIORITY_CLASS_{value.name}")
        case "length_buckets":
            message.length_buckets.CopyFrom(pb.LengthBuckets(buckets=_buckets(value)))
        case "adapter_aliases":
            message.adapter_aliases.CopyFrom(pb.AdapterAliases(names=value))
        case _:
            setattr(message, wire, value)


def _buckets(buckets: Iterable[BucketPolicy | LengthBucket]) -> list[pb.LengthBucket]:
    return [
        pb.LengthBucket(
            max_prompt_tokens=bucket.max_prompt_tokens, budget_tokens=bucket.budget_tokens, keep_ratio=bucket.keep_ratio
        )
        for bucket in buckets
    ]
