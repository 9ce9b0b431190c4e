"""`lookaheadkv tenants ...`: each command reads its arguments, asks a router, and prints the answer."""

from typing import Annotated, Any

import typer
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from protos.generation.v1 import generation_pb2
from protos.router.v1 import tenant_budget_pb2 as pb
from router.cli.assignments import read_assignments
from router.cli.output import budget_table, budget_value, budgets_table, explained_table, explained_value
from router.cli.remote import ApiKey, AsJson, Budget, CaFile, Remote, Router, Tenant, remote, tenant_of
from router.tenants.inheritance import resource_name
from router.tenants.messages import limits_message, to_policy
from router.tenants.policy import TenantPolicy
from services.shared.cli.output import tell
from services.shared.cli.running import Refused
from services.shared.durations import to_duration

Fields = Annotated[list[str], typer.Argument(metavar="FIELD=VALUE...", help="Limits; `FIELD=` inherits it again.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check it, and write nothing.")]
Model = Annotated[str, typer.Option(help="The model; without it the one that is served.")]
PromptTokens = Annotated[int, typer.Option(min=1, help="Length of the prompt.")]
NewTokens = Annotated[int | None, typer.Option(min=1, help="Length of the answer, at most.")]
Seconds = Annotated[float | None, typer.Option(min=0, help="Seconds that the request asks for.")]
BudgetTokens = Annotated[int | None, typer.Option(min=1, help="The request's own budget.")]
KeepRatio = Annotated[float | None, typer.Option(min=0, max=1, help="The share that the request wants kept.")]


def get(
    tenant: Tenant, router: Router = "", api_key: ApiKey = "", ca_file: CaFile = None, as_json: AsJson = False
) -> None:
    """Show what a tenant's policy says."""
    with remote(router, api_key, ca_file) as api:
        budget = _there(api, tenant)
    tell(budget_value(budget), as_json, lambda: budget_table(budget))


def set_fields(
    tenant: Tenant,
    fields: Fields,
    dry_run: DryRun = False,
    router: Router = "",
    api_key: ApiKey = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Set limits of a tenant, and make its policy when there is none."""
    policy, paths = read_assignments(fields)
    with remote(router, api_key, ca_file) as api:
        written = _write(api, tenant, policy, paths, dry_run)
    budget = Budget(tenant_of(written), to_policy(written), written)
    tell(budget_value(budget), as_json, lambda: budget_table(budget))


def list_budgets(router: Router = "", api_key: ApiKey = "", ca_file: CaFile = None, as_json: AsJson = False) -> None:
    """List all policies."""
    with remote(router, api_key, ca_file) as api:
        budgets = api.all()
    tell([budget_value(budget) for budget in budgets], as_json, lambda: budgets_table(budgets))


def delete(
    tenant: Tenant,
    dry_run: DryRun = False,
    router: Router = "",
    api_key: ApiKey = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Delete the policy of a tenant, which inherits everything from then on."""
    with remote(router, api_key, ca_file) as api:
        found = _there(api, tenant).message
        request = pb.DeleteTenantBudgetRequest(name=found.name, etag=found.etag, validate_only=dry_run)
        api.call("DeleteTenantBudget", request)
    done = "could be deleted" if dry_run else "is deleted"
    tell({"tenant": tenant, "deleted": not dry_run}, as_json, lambda: f"the policy of {tenant} {done}")


def explain(
    tenant: Tenant,
    prompt_tokens: PromptTokens,
    model: Model = "",
    max_new_tokens: NewTokens = None,
    ttft: Seconds = None,
    tpot: Seconds = None,
    budget_tokens: BudgetTokens = None,
    keep_ratio: KeepRatio = None,
    router: Router = "",
    api_key: ApiKey = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Show what a request would be given, and why, without serving it."""
    request = pb.GetEffectiveBudgetRequest(
        tenant=tenant,
        model=model,
        prompt_tokens=prompt_tokens,
        max_new_tokens=max_new_tokens,
        kv=generation_pb2.KvHint(budget_tokens=budget_tokens, keep_ratio=keep_ratio),
        slo=generation_pb2.Slo(ttft=_duration(ttft), tpot=_duration(tpot)),
    )
    with remote(router, api_key, ca_file) as api:
        answer = api.call("GetEffectiveBudget", request)
    tell(explained_value(answer), as_json, lambda: explained_table(answer))


def _there(api: Remote, tenant: str) -> Budget:
    budget = api.find(tenant)
    if budget is None:
        raise Refused(f"{tenant}: has no policy and inherits everything; `lookaheadkv tenants set` makes one")
    return budget


def _write(api: Remote, tenant: str, policy: TenantPolicy, paths: list[str], dry_run: bool) -> pb.TenantBudget:
    found = api.find(tenant)
    budget = pb.TenantBudget(name=resource_name(tenant), limits=limits_message(policy.limits))
    answer: Any
    if found is None:
        answer = api.call("CreateTenantBudget", pb.CreateTenantBudgetRequest(budget=budget, validate_only=dry_run))
    else:
        budget.etag = found.message.etag
        mask = FieldMask(paths=paths)
        request = pb.UpdateTenantBudgetRequest(budget=budget, update_mask=mask, validate_only=dry_run)
        answer = api.call("UpdateTenantBudget", request)
    return answer.budget


def _duration(seconds: float | None) -> Duration | None:
    return None if seconds is None else to_duration(seconds)
