"""The budget API: who may do what, what is refused and how, and what a write changes."""

from contextlib import asynccontextmanager

import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from grpc import StatusCode
from grpc_status import rpc_status
from structlog.testing import capture_logs

from protos.router.v1 import tenant_budget_pb2 as pb
from router.tenants.inheritance import resource_name
from tests.budget_api import budget, budget_api, opens
from tests.fakes import MemoryPolicyStore
from tests.integration.registry_client import refusal


@asynccontextmanager
async def serving(**arguments):
    store = MemoryPolicyStore()
    async with budget_api(opens(store), **arguments) as api:
        await api.feed.wait_ready()
        yield api, store


def violations(error):
    details = [detail for detail in rpc_status.from_call(error).details]
    bad = error_details_pb2.BadRequest()
    details[0].Unpack(bad)
    return {violation.field: violation.description for violation in bad.field_violations}


async def test_what_is_created_is_read_and_holds_at_once():
    async with serving() as (api, _):
        made = await api.create("acme", max_budget_tokens=2048, ttft=Duration(seconds=2, nanos=500_000_000))
        assert await api.get("acme") == made
        assert made.etag and made.updated_by == "root" and made.limits.ttft.nanos == 500_000_000
        assert made.update_time.seconds > 1_700_000_000
        limits = api.table.effective("acme", "m").limits
        assert (limits.max_budget_tokens, limits.ttft_seconds, api.table.generation) == (2048, 2.5, 1)


async def test_everything_that_is_wrong_is_named_at_once():
    async with serving(aliases={"news", "law"}) as (api, _):
        wrong = budget("acme", min_budget_tokens=9, max_budget_tokens=8, adapter_aliases={"names": ["nwes", "*"]})
        wrong.limits.length_buckets.buckets.add(max_prompt_tokens=10, budget_tokens=5)
        wrong.limits.length_buckets.buckets.add(max_prompt_tokens=10, keep_ratio=0.5)
        wrong.model_rules.add(model="a*b", limits=pb.BudgetLimits(default_keep_ratio=0.5, max_keep_ratio=0.2))
        wrong.model_rules.add(model="m")
        wrong.model_rules.add(model="m")
        error = await refusal(api.call("CreateTenantBudget", pb.CreateTenantBudgetRequest(budget=wrong)))
    assert error.code() == StatusCode.INVALID_ARGUMENT
    assert set(violations(error)) == {
        "budget.limits.min_budget_tokens",
        "budget.limits.length_buckets.buckets.1.max_prompt_tokens",
        "budget.limits.adapter_aliases",
        "budget.model_rules.0.model",
        "budget.model_rules.0.limits.default_keep_ratio",
        "budget.model_rules.2.model",
    }
    assert "known: law, news" in violations(error)["budget.limits.adapter_aliases"]


async def test_wrong_values_are_named_by_the_paths_of_the_wire():
    async with serving() as (api, _):
        wrong = budget("acme", max_keep_ratio=1.5, min_budget_tokens=-1, ttft=Duration(), on_conflict=9, weight=-1)
        wrong.limits.length_buckets.buckets.add(max_prompt_tokens=5)
        error = await refusal(api.call("CreateTenantBudget", pb.CreateTenantBudgetRequest(budget=wrong)))
    names = ("max_keep_ratio", "min_budget_tokens", "ttft", "on_conflict", "weight", "length_buckets.buckets.0")
    assert set(violations(error)) == {f"budget.limits.{name}" for name in names}


async def test_what_contradicts_another_level_is_refused_with_both_names():
    async with serving() as (api, _):
        await api.create("cluster", min_budget_tokens=500)
        below = await refusal(api.create("acme", max_budget_tokens=400))
        await api.create("beta", max_budget_tokens=600)
        above = await refusal(api.update(await api.get("cluster"), min_budget_tokens=700))
        built_in = await refusal(api.create("cent", max_keep_ratio=0.5, min_keep_ratio=0.6))
    text = violations(below)["budget.limits.max_budget_tokens"]
    assert "500 of cluster/budgetPolicy" in text and "400 of tenants/acme/budgetPolicy" in text
    text = violations(above)["budget.limits.min_budget_tokens"]
    assert "700 of cluster/budgetPolicy" in text and "600 of tenants/beta/budgetPolicy" in text
    assert built_in.code() == StatusCode.INVALID_ARGUMENT


async def test_rules_of_both_levels_for_one_model_must_fit_together():
    async with serving() as (api, _):
        cluster = budget("cluster")
        cluster.model_rules.add(model="llama*", limits=pb.BudgetLimits(min_budget_tokens=500))
        await api.call("CreateTenantBudget", pb.CreateTenantBudgetRequest(budget=cluster))
        tenant = budget("acme")
        tenant.model_rules.add(model="llama-3", limits=pb.BudgetLimits(max_budget_tokens=400))
        error = await refusal(api.call("CreateTenantBudget", pb.CreateTenantBudgetRequest(budget=tenant)))
        tenant.model_rules[0].model = "qwen"
        await api.call("CreateTenantBudget", pb.CreateTenantBudgetRequest(budget=tenant))
    (text,) = violations(error).values()
    assert "cluster/budgetPolicy#llama*" in text and "tenants/acme/budgetPolicy#llama-3" in text


async def test_the_cluster_policy_cannot_go_while_a_tenant_relies_on_it():
    async with serving() as (api, _):
        made = await api.create("cluster", min_budget_tokens=8)
        await api.create("acme", max_budget_tokens=16)
        request = pb.DeleteTenantBudgetRequest(name=made.name, etag=made.etag)
        error = await refusal(api.call("DeleteTenantBudget", request))
    assert "64 of builtin" in violations(error)["name"]


async def test_a_mask_changes_what_it_names_and_clears_what_is_not_set():
    async with serving() as (api, _):
        made = await api.create("acme", max_budget_tokens=2048, weight=2.0, ttft=Duration(seconds=1))
        changed = await api.update(made, "limits.weight", "limits.ttft", weight=3.0, max_budget_tokens=7)
        assert changed.limits == pb.BudgetLimits(max_budget_tokens=2048, weight=3.0)
        error = await refusal(api.update(changed, "limits.wieght", "limits", weight=1.0))
        assert list(violations(error)) == ["update_mask"] and "'limits.wieght'" in violations(error)["update_mask"]
        replaced = await api.update(changed, weight=4.0)
        assert replaced.limits == pb.BudgetLimits(weight=4.0)


async def test_refusals_of_existence_and_etag_have_their_statuses():
    async with serving() as (api, _):
        made = await api.create("acme", weight=1.0)
        again = await refusal(api.create("acme", weight=1.0))
        await api.update(made, weight=2.0)
        stale = await refusal(api.update(made, weight=3.0))
        stale_delete = await refusal(
            api.call("DeleteTenantBudget", pb.DeleteTenantBudgetRequest(name=made.name, etag=made.etag))
        )
        missing = await refusal(api.update(pb.TenantBudget(name=resource_name("other"), etag="1-x"), weight=1.0))
        without = await refusal(api.update(pb.TenantBudget(name=made.name), weight=1.0))
        unknown = await refusal(api.get("other"))
    codes = [error.code() for error in (again, stale, stale_delete, missing, without, unknown)]
    assert codes == [
        StatusCode.ALREADY_EXISTS,
        StatusCode.ABORTED,
        StatusCode.ABORTED,
        StatusCode.NOT_FOUND,
        StatusCode.INVALID_ARGUMENT,
        StatusCode.NOT_FOUND,
    ]


async def test_validate_only_checks_everything_and_writes_nothing():
    async with serving() as (api, store):
        made = await api.create("acme", weight=1.0)
        before = await store.snapshot()
        assert (await api.create("beta", validate_only=True, weight=5.0)).limits.weight == 5.0
        assert (await api.update(made, validate_only=True, weight=5.0)).limits.weight == 5.0
        stale = pb.TenantBudget(name=made.name, etag="1-x")
        codes = [
            (await refusal(call)).code()
            for call in (
                api.create("acme", validate_only=True, weight=5.0),
                api.update(stale, validate_only=True, weight=5.0),
                api.create("beta", validate_only=True, min_budget_tokens=3, max_budget_tokens=2),
            )
        ]
        request = pb.DeleteTenantBudgetRequest(name=made.name, etag=made.etag, validate_only=True)
        await api.call("DeleteTenantBudget", request)
        assert await store.snapshot() == before
    assert codes == [StatusCode.ALREADY_EXISTS, StatusCode.ABORTED, StatusCode.INVALID_ARGUMENT]


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("CreateTenantBudget", pb.CreateTenantBudgetRequest(budget=budget("acme"))),
        ("UpdateTenantBudget", pb.UpdateTenantBudgetRequest(budget=budget("acme"))),
        ("DeleteTenantBudget", pb.DeleteTenantBudgetRequest(name=resource_name("acme"))),
        ("ListTenantBudgets", pb.ListTenantBudgetsRequest()),
        ("ListBudgetWrites", pb.ListBudgetWritesRequest()),
        ("GetPolicyStatus", pb.GetPolicyStatusRequest()),
        ("GetTenantBudget", pb.GetTenantBudgetRequest(name=resource_name("beta"))),
        ("GetTenantBudget", pb.GetTenantBudgetRequest(name=resource_name("cluster"))),
        ("GetEffectiveBudget", pb.GetEffectiveBudgetRequest(tenant="beta", prompt_tokens=1)),
    ],
)
async def test_a_tenant_may_not_do_what_is_for_administrators(method, request_):
    async with serving() as (api, store):
        denied = await refusal(api.call(method, request_, key="acme"))
        nobody = await refusal(api.call(method, request_, key=""))
        assert (await store.snapshot()).generation == 0
    assert denied.code() == StatusCode.PERMISSION_DENIED and "needs the admin role" in denied.details()
    assert nobody.code() == StatusCode.UNAUTHENTICATED


async def test_a_tenant_may_read_its_own_and_ask_what_it_would_get():
    async with serving() as (api, _):
        made = await api.create("acme", max_budget_tokens=100)
        own = await api.call("GetTenantBudget", pb.GetTenantBudgetRequest(name=made.name), key="acme")
        request = pb.GetEffectiveBudgetRequest(prompt_tokens=5000)
        request.slo.ttft.seconds = 2
        answer = await api.call("GetEffectiveBudget", request, key="acme")
    assert own.budget == made
    assert (answer.decision.tenant, answer.decision.granted_tokens) == ("acme", 100)
    assert answer.decision.predicted_ttft.seconds == 2
    assert answer.limits.max_budget_tokens == 100 and answer.limits.min_budget_tokens == 64
    assert (answer.origins["max_budget_tokens"], answer.origins["ttft"]) == (made.name, "builtin")


@pytest.mark.parametrize("name", ["tenants/cluster/budgetPolicy", "tenants/a b/budgetPolicy", "acme", ""])
async def test_a_name_of_nothing_is_refused(name):
    async with serving() as (api, _):
        made = await refusal(
            api.call("CreateTenantBudget", pb.CreateTenantBudgetRequest(budget=pb.TenantBudget(name=name)))
        )
        read = await refusal(api.call("GetTenantBudget", pb.GetTenantBudgetRequest(name=name)))
    assert list(violations(made)) == ["budget.name"] and list(violations(read)) == ["name"]


async def test_pages_are_in_order_and_hold_everything_once():
    async with serving() as (api, _):
        for name in ("c", "a", "cluster", "b"):
            await api.create(name, weight=1.0)
        names: list[str] = []
        writes: list[tuple[str, int, str, str]] = []
        token = ""
        while not names or token:
            page = await api.call("ListTenantBudgets", pb.ListTenantBudgetsRequest(page_size=3, page_token=token))
            names += [item.name for item in page.budgets]
            token = page.next_page_token
        while not writes or token:
            page = await api.call("ListBudgetWrites", pb.ListBudgetWritesRequest(page_size=3, page_token=token))
            writes += [(item.name, item.generation, item.author, item.action) for item in page.writes]
            token = page.next_page_token
        codes = {
            (await refusal(api.call("ListTenantBudgets", pb.ListTenantBudgetsRequest(**wrong)))).code()
            for wrong in ({"page_size": 0}, {"page_size": 1001}, {"page_token": "x"})
        }
    assert names == ["cluster/budgetPolicy", *(resource_name(name) for name in "abc")]
    expected = [resource_name(name) for name in ("b", "cluster", "a", "c")]
    assert writes == [(name, 4 - i, "root", "create") for i, name in enumerate(expected)]
    assert codes == {StatusCode.INVALID_ARGUMENT}


async def test_the_audit_shows_before_and_after_and_no_key():
    async with serving() as (api, _):
        with capture_logs() as logs:
            made = await api.create("acme", weight=1.0)
        changed = await api.update(made, weight=2.0)
        await api.call("DeleteTenantBudget", pb.DeleteTenantBudgetRequest(name=made.name, etag=changed.etag))
        answer = await api.call("ListBudgetWrites", pb.ListBudgetWritesRequest(name=made.name))
    one, two = '{"limits":{"weight":1.0}}', '{"limits":{"weight":2.0}}'
    assert [(w.action, w.before, w.after) for w in answer.writes] == [
        ("delete", two, ""),
        ("update", one, two),
        ("create", "", one),
    ]
    (line,) = [line for line in logs if line["event"] == "budget policy written"]
    told = {name: line[name] for name in ("author", "action", "name", "generation")}
    assert told == {"author": "root", "action": "create", "name": made.name, "generation": 1}
    assert "Bearer" not in f"{answer} {logs}"


async def test_without_a_store_everything_is_built_in_and_writes_are_refused():
    async with budget_api(None) as api:
        await api.feed.wait_ready()
        error = await refusal(api.create("acme", weight=1.0))
        status = await api.call("GetPolicyStatus", pb.GetPolicyStatusRequest())
        assert api.table.effective("acme", "m").limits.min_budget_tokens == 64
    assert error.code() == StatusCode.FAILED_PRECONDITION and "ROUTER_REDIS_URL" in error.details()
    assert (status.router.source, status.router.problem, len(status.routers)) == ("builtin", "", 1)
