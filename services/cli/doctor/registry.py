"""Adapters: whether one in a folder fits the model, and which of a registry do."""

import asyncio
from collections.abc import Iterator

from scorer.adapters.errors import AdapterError
from scorer.adapters.fingerprint import model_fingerprint, read_config
from scorer.adapters.folder import read_folder
from scorer.adapters.redis_store import open_redis_store
from scorer.adapters.store_values import DEFAULT_ALIAS
from scorer.adapters.watching import AdapterState
from scorer.cli.actions import all_adapters
from services.cli.doctor.finding import Finding, Subject, ok, skipped, wrong
from services.shared.redis.errors import StoreError
from services.shared.redis.options import RedisOptions

SECONDS = 20.0
HOW = "`lookaheadkv adapters publish FOLDER --alias default` brings one"


def adapter(subject: Subject) -> Iterator[Finding]:
    """Its files, checked as the runtime checks them."""
    if subject.adapter is None or subject.model is None:
        yield skipped("adapter", "name its folder with --adapter, and the model's with --model")
        return
    try:
        bundle = read_folder(subject.adapter, read_config(subject.model))
    except (AdapterError, OSError, ValueError) as error:
        yield wrong("adapter", str(error), "publish one that was trained for this model: lookaheadkv adapters verify")
        return
    manifest = bundle.manifest
    yield ok("adapter", f"{manifest.model}/{manifest.adapter} version {manifest.version} fits the model")


def registry(subject: Subject) -> Iterator[Finding]:
    """Whether the registry has an adapter for the model; without one the runtime scores by the prompt's window."""
    if not subject.redis_url or subject.model is None:
        yield skipped("registry", "name it with --redis-url, and the model's folder with --model")
        return
    try:
        states = asyncio.run(_states(subject.redis_url, model_fingerprint(read_config(subject.model))))
    # the last two are of a config.json that is no object
    except (StoreError, OSError, ValueError, AttributeError, TypeError) as error:
        yield skipped("registry", f"cannot be read: {error}")
        return
    if not states:
        yield skipped("registry", f"has no adapter for this model, which is scored without one; {HOW}")
    for state in states:
        yield _registered(state)


async def _states(url: str, fingerprint: str) -> list[AdapterState]:
    """Raises StoreError, TimeoutError and ValueError."""
    options = RedisOptions(url, timeout_seconds=5.0, connect_timeout_seconds=5.0, retries=0)
    async with asyncio.timeout(SECONDS), open_redis_store(options) as store:
        return await all_adapters(store, fingerprint)


def _registered(state: AdapterState) -> Finding:
    name = f"adapter {state.adapter}"
    alias = state.aliases.by_name.get(DEFAULT_ALIAS)
    if alias is None:
        return wrong(name, "has no alias `default`", f"lookaheadkv adapters promote {state.adapter} VERSION")
    return ok(name, f"default is version {alias.version} of {len(state.versions)}")
