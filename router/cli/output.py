"""What the commands print of budgets."""

from collections.abc import Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from rich.table import Table

from protos.router.v1 import tenant_budget_pb2 as pb
from router.cli.remote import Budget
from router.tenants.messages import SECONDS, to_policy
from router.tenants.policy import TenantPolicy
from services.shared.cli.output import table_of


def budget_value(budget: Budget) -> dict[str, Any]:
    """A policy for programs, in the schema of the YAML file."""
    message = budget.message
    told = {"tenant": budget.tenant, "etag": message.etag, "updated_by": message.updated_by}
    return {**told, "update_time": message.update_time.ToJsonString(), **budget.policy.plain()}


def budget_table(budget: Budget) -> Table:
    """A row for each limit that is set."""
    table = table_of("limit", "value", "for model")
    for name, value in _plain_limits(budget.policy):
        table.add_row(name, value, "")
    for rule in budget.policy.model_rules:
        for name, value in _plain_limits(TenantPolicy(limits=rule.limits)):
            table.add_row(name, value, rule.model)
    table.caption = f"{budget.tenant}, written by {budget.message.updated_by or 'nobody'}, etag {budget.message.etag}"
    return table


def budgets_table(budgets: Sequence[Budget]) -> Table:
    """A row for each tenant."""
    table = table_of("tenant", "limits", "model rules", "written by", "time")
    for budget in budgets:
        limits = ", ".join(f"{name}={value}" for name, value in _plain_limits(budget.policy))
        rules = ", ".join(rule.model for rule in budget.policy.model_rules)
        message = budget.message
        table.add_row(budget.tenant, limits, rules, message.updated_by, message.update_time.ToJsonString())
    return table


def explained_value(answer: pb.GetEffectiveBudgetResponse) -> dict[str, Any]:
    """A decision for programs."""
    decision = MessageToDict(
        answer.decision, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    policy = to_policy(pb.TenantBudget(limits=answer.limits))
    origins = {SECONDS.get(name, name): origin for name, origin in answer.origins.items()}
    return {"decision": decision, "limits": policy.plain().get("limits", {}), "origins": dict(sorted(origins.items()))}


def explained_table(answer: pb.GetEffectiveBudgetResponse) -> Table:
    """The limits with their origins, and the decision below."""
    table = table_of("limit", "value", "from")
    value = explained_value(answer)
    for name, limit in value["limits"].items():
        table.add_row(name, _shown(limit), value["origins"].get(name, ""))
    decision = answer.decision
    first = f"{decision.granted_tokens} tokens by {decision.rule}"
    table.caption = "\n".join((first, *decision.reasons))
    return table


def _plain_limits(policy: TenantPolicy) -> list[tuple[str, str]]:
    return [(name, _shown(value)) for name, value in policy.plain().get("limits", {}).items()]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    if isinstance(value, dict):
        return " ".join(f"{name}={part}" for name, part in value.items())
    return str(value)
