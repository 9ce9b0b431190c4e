"""What a router goes by when it starts, when the store changes, is empty or away, and when policies are damaged."""

from contextlib import asynccontextmanager

import pytest

from router.tenants.store import Change
from services.shared.errors import FailedPrecondition, Unavailable
from services.shared.redis.errors import StoreMisconfigured, StoreUnavailable
from tests.budget_api import budget_api, opens
from tests.fakes import MemoryPolicyStore
from tests.integration.clients import until

SEED = "cluster: {limits: {min_budget_tokens: 128}}\ntenants: {acme: {limits: {max_budget_tokens: 2048}}}"


def away(error=None):
    @asynccontextmanager
    async def open_store():
        raise error or StoreUnavailable("Redis at fake does not answer")
        yield

    return open_store


class Wiped(MemoryPolicyStore):
    """Loses everything when it is told to."""

    def wipe(self):
        self._policies, self._generation = {}, 0
        self._written.set()


async def seen(api, good):
    async def ask():
        return api.table

    return await until(ask, good)


async def put(store, tenant, content, action="create"):
    snapshot = await store.snapshot()
    stored = snapshot.get(tenant)
    etag = stored.etag if stored else ""
    return await store.apply(Change(tenant, content, etag, snapshot.generation, "root", action))


async def test_a_first_start_without_the_store_is_not_ready_and_says_why():
    async with budget_api(away()) as api:
        await seen(api, lambda table: "does not answer" in table.problem)
        assert not api.table.ready and api.states and not any(api.states)
        with pytest.raises(Unavailable, match="does not answer"):
            api.table.effective("acme", "m")


async def test_a_store_that_is_set_up_wrongly_is_told_to_who_writes():
    async with budget_api(away(StoreMisconfigured("maxmemory-policy: is wrong"))) as api:
        await seen(api, lambda table: "maxmemory-policy" in table.problem)
        with pytest.raises(FailedPrecondition, match="maxmemory-policy"):
            api.feed.store()


async def test_the_seed_is_written_once_and_only_into_a_store_that_never_had_anything(tmp_path):
    seed, store = tmp_path / "seed.yaml", MemoryPolicyStore()
    seed.write_text(SEED)
    async with budget_api(opens(store), seed_path=seed) as one, budget_api(opens(store), seed_path=seed) as two:
        for api in (one, two):
            await seen(api, lambda table: table.source == "redis" and table.generation == 2)
        assert one.table.effective("acme", "m").limits.max_budget_tokens == 2048
        assert [entry.action for entry in await store.audit("", 9)] == ["import", "import"]
        assert {entry.author for entry in await store.audit("", 9)} == {"seed file"}
    seed.write_text("tenants: {other: {}}")
    async with budget_api(opens(store), seed_path=seed) as api:
        await seen(api, lambda table: table.source == "redis")
        assert set(api.table.policies) == {"cluster", "acme"}


@pytest.mark.parametrize("opening", [away(), None])
async def test_the_seed_holds_while_the_store_is_away_or_where_there_is_none(tmp_path, opening):
    seed = tmp_path / "seed.yaml"
    seed.write_text(SEED)
    async with budget_api(opening, seed_path=seed) as api:
        await api.feed.wait_ready()
        assert (api.table.source, api.table.generation) == ("seed", 0)
        assert api.table.effective("acme", "m").limits.min_budget_tokens == 128


@pytest.mark.parametrize("opening", [away(), None, opens(MemoryPolicyStore())])
async def test_a_seed_that_is_wrong_is_never_no_limits(tmp_path, opening):
    seed = tmp_path / "seed.yaml"
    seed.write_text("tenants: {acme: {limits: {max_tokens: 1}}}")
    async with budget_api(opening, seed_path=seed) as api:
        await until(_problem(api), lambda problem: "max_tokens" in problem or "does not answer" in problem)
        assert not api.table.ready


async def test_the_last_known_state_is_kept_in_a_file_for_a_start_without_the_store(tmp_path):
    store, file = MemoryPolicyStore(), tmp_path / "cache" / "policies.json"
    await put(store, "acme", '{"limits":{"max_budget_tokens":77}}')
    async with budget_api(opens(store), last_known_path=file) as api:
        await seen(api, lambda table: table.source == "redis" and file.is_file())
    async with budget_api(away(), last_known_path=file) as api:
        await api.feed.wait_ready()
        assert (api.table.source, api.table.generation) == ("last_known", 1)
        assert api.table.effective("acme", "m").limits.max_budget_tokens == 77
        assert "as of" in (await until(_problem(api), lambda problem: "does not answer" in problem))
    file.write_text("{")
    async with budget_api(away(), last_known_path=file) as api:
        await seen(api, lambda table: "does not answer" in table.problem)
        assert not api.table.ready


async def test_a_policy_that_cannot_be_read_stays_what_it_was_and_is_reported():
    store = MemoryPolicyStore()
    await put(store, "acme", '{"limits":{"max_budget_tokens":77}}')
    async with budget_api(opens(store)) as api:
        await seen(api, lambda table: table.generation == 1)
        await put(store, "acme", '{"limits":{"max_tokens":1}}', "update")
        await put(store, "beta", "no json")
        await seen(api, lambda table: table.generation == 3)
        assert api.table.effective("acme", "m").limits.max_budget_tokens == 77
        assert "tenants/acme/budgetPolicy: limits.max_tokens" in api.table.problem
        with pytest.raises(FailedPrecondition, match="tenants/beta/budgetPolicy: cannot be read"):
            api.table.effective("beta", "m")
        assert api.table.effective("other", "m").limits.max_budget_tokens is None
        await put(store, "acme", '{"limits":{"max_budget_tokens":78}}', "update")
        await put(store, "beta", "{}", "update")
        await seen(api, lambda table: not table.problem)
        assert api.table.effective("acme", "m").limits.max_budget_tokens == 78


async def test_a_damaged_policy_for_all_is_not_ready_at_a_first_start():
    store = MemoryPolicyStore()
    await put(store, "cluster", "no json")
    async with budget_api(opens(store)) as api:
        await until(_problem(api), lambda problem: "cluster/budgetPolicy" in problem)
        assert not api.table.ready
        await put(store, "cluster", "{}", "update")
        await api.feed.wait_ready()


async def test_a_store_that_lost_everything_does_not_take_the_limits_away():
    store = Wiped()
    await put(store, "acme", '{"limits":{"max_budget_tokens":77}}')
    async with budget_api(opens(store)) as api:
        await seen(api, lambda table: table.generation == 1)
        store.wipe()
        await until(_problem(api), lambda problem: "has lost all policies" in problem)
        assert api.table.effective("acme", "m").limits.max_budget_tokens == 77


async def test_a_state_of_which_nothing_is_heard_is_flagged_and_served_on():
    store = Wiped()
    await put(store, "acme", "{}")
    async with budget_api(opens(store), max_age_seconds=0.3, fresh_seconds=0.2) as api:
        await seen(api, lambda table: table.source == "redis")
        assert api.states[-1] or await until(_fresh(api), bool)
        store.wipe()
        await seen(api, lambda table: table.source == "last_known")
        await until(_fresh(api), lambda fresh: not fresh)
        assert api.table.ready and api.table.effective("acme", "m")


def _problem(api):
    async def ask():
        return api.table.problem

    return ask


def _fresh(api):
    async def ask():
        return bool(api.states and api.states[-1])

    return ask
