"""`lookaheadkv tenants import` and `export`: all policies as one YAML file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from protos.router.v1 import tenant_budget_pb2 as pb
from router.cli.plan import CREATE, Step, changed_fields, plan
from router.cli.remote import ApiKey, AsJson, CaFile, Remote, Router, remote
from router.tenants.inheritance import resource_name
from router.tenants.messages import limits_message
from router.tenants.yaml_file import read_policies, write_policies
from services.shared.cli.output import table_of, tell
from services.shared.cli.running import refusals

File = Annotated[Path, typer.Argument(help="A YAML file with `cluster` and `tenants`.")]
OutFile = Annotated[Path | None, typer.Argument(help="A file to write; without it, the output.")]
Prune = Annotated[bool, typer.Option("--prune", help="Delete the policies that the file does not have.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, show what would change, write nothing.")]


def import_file(
    file: File,
    prune: Prune = False,
    dry_run: DryRun = False,
    router: Router = "",
    api_key: ApiKey = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Write what differs from a file, after all of it was checked."""
    with refusals():
        wanted = read_policies(file)
    with remote(router, api_key, ca_file) as api:
        current = {budget.tenant: budget for budget in api.all()}
        etags = {tenant: budget.message.etag for tenant, budget in current.items()}
        steps = plan({tenant: budget.policy for tenant, budget in current.items()}, wanted, prune)
        for step in steps:
            if step.alone:
                _send(api, step, etags, validate_only=True)
        for step in steps if not dry_run else ():
            _send(api, step, etags, validate_only=False)
    value = [{"action": step.action, "tenant": step.tenant} for step in steps]
    tell({"written": not dry_run, "changes": value}, as_json, lambda: _diff(steps, dry_run))


def export_file(file: OutFile = None, router: Router = "", api_key: ApiKey = "", ca_file: CaFile = None) -> None:
    """Write all policies as YAML, as `import` reads it."""
    with remote(router, api_key, ca_file) as api:
        text = write_policies({budget.tenant: budget.policy for budget in api.all()})
        if file:
            file.write_text(text)
    if file is None:
        typer.echo(text, nl=False)


def _send(api: Remote, step: Step, etags: Mapping[str, str], validate_only: bool) -> None:
    name = resource_name(step.tenant)
    if step.after is None:
        etag = etags[step.tenant]
        gone = pb.DeleteTenantBudgetRequest(name=name, etag=etag, validate_only=validate_only)
        api.call("DeleteTenantBudget", gone)
        return
    rules = [pb.ModelRule(model=rule.model, limits=limits_message(rule.limits)) for rule in step.after.model_rules]
    budget = pb.TenantBudget(name=name, limits=limits_message(step.after.limits), model_rules=rules)
    if step.action == CREATE:
        api.call("CreateTenantBudget", pb.CreateTenantBudgetRequest(budget=budget, validate_only=validate_only))
        return
    budget.etag = etags[step.tenant]
    api.call("UpdateTenantBudget", pb.UpdateTenantBudgetRequest(budget=budget, validate_only=validate_only))


def _diff(steps: Sequence[Step], dry_run: bool) -> Table | str:
    if not steps:
        return "nothing differs"
    table = table_of("tenant", "action", "field", "before", "after")
    for step in steps:
        for name, before, after in changed_fields(step) or [("", "", "")]:
            table.add_row(step.tenant, step.action, name, before, after)
    table.caption = "nothing was written" if dry_run else "written"
    return table
