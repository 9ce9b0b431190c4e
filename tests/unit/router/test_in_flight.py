"""A router that shuts down finishes what it has and takes on nothing more."""

import asyncio

import pytest

from router.in_flight import InFlight
from services.shared.errors import Unavailable


async def test_draining_ends_with_the_last_request():
    in_flight = InFlight()
    with in_flight.enter():
        with in_flight.enter():
            drained = asyncio.create_task(in_flight.drain())
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not drained.done()
    await asyncio.wait_for(drained, 1)
    assert drained.done()


async def test_draining_refuses_new_requests_and_an_idle_router_is_drained_at_once():
    in_flight = InFlight()
    await asyncio.wait_for(in_flight.drain(), 1)
    with pytest.raises(Unavailable, match="shutting down"), in_flight.enter():
        pass


async def test_a_request_that_fails_is_over_too():
    in_flight = InFlight()
    with pytest.raises(KeyError), in_flight.enter():
        raise KeyError
    await asyncio.wait_for(in_flight.drain(), 1)
