"""Versions that no alias needs are deleted after a grace time."""

import asyncio

import structlog

from scorer.adapters.store import AdapterStore
from scorer.adapters.store_errors import StoreError, StoreForbidden
from scorer.registry.connection import StoreConnection
from services.shared.errors import ServiceError

logger = structlog.get_logger(__name__)


async def collect_for_ever(connection: StoreConnection, grace_seconds: float, every_seconds: float) -> None:
    """Collect again and again, until cancelled; all sidecars may do so. Ends for a user who may only read."""
    while True:
        await asyncio.sleep(every_seconds)
        try:
            await collect_all(connection.store(), grace_seconds)
        except StoreForbidden as error:
            logger.info("old adapter versions are left to others", reason=str(error))
            return
        except (StoreError, ServiceError) as error:
            logger.warning("old adapter versions stay for now", reason=str(error))


async def collect_all(store: AdapterStore, grace_seconds: float) -> None:
    """Collect each adapter once."""
    after = None
    while after != "":
        page = await store.adapters(after=after or "")
        for adapter in page.adapters:
            if deleted := await store.collect(adapter, grace_seconds):
                logger.info("old adapter versions deleted", adapter=str(adapter), versions=deleted)
        after = page.next_after
