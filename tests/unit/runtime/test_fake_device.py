"""The fake engine's times: one device prefills first and then decodes, and its steps read the KV of the batch."""

import asyncio
import time

from services.runtime.backends.fake_device import Device


async def test_side_by_side_nobody_waits():
    device = Device(0.0, 0.0, one=False)
    long = asyncio.create_task(device.prefill(60))
    with device.decode(100) as steps:
        await steps.next()
    await device.prefill(0)
    assert not long.done()
    long.cancel()


async def test_one_device_prefills_one_by_one_first_come_first_served():
    device = Device(0.0, 0.0, one=True)
    first, second = await asyncio.gather(device.prefill(0.02), device.prefill(0.01))
    assert second - first >= 0.02


async def test_no_step_begins_while_a_prefill_runs_or_waits():
    device = Device(0.0, 0.0, one=True)
    prefills = asyncio.gather(device.prefill(0.01), device.prefill(0.01))
    await asyncio.sleep(0)
    with device.decode(100) as steps:
        await steps.next()
    assert prefills.done()


async def test_an_abandoned_prefill_lets_the_others_go_on():
    device = Device(0.0, 0.0, one=True)
    abandoned = asyncio.create_task(device.prefill(60))
    await asyncio.sleep(0)
    abandoned.cancel()
    await device.prefill(0)
    with device.decode(100) as steps:
        await steps.next()
    assert abandoned.cancelled()


async def test_steps_take_longer_the_more_the_batch_holds():
    device = Device(1.0, 0.5, one=False)
    with device.decode(10), device.decode(20):
        assert await device.step_seconds() == 1.0 + 0.5 * 31
    assert await device.step_seconds() == 1.0 + 0.5 * 2


async def test_a_late_timer_is_made_up_for():
    device = Device(0.002, 0.0, one=True)
    began = time.monotonic()
    with device.decode(1) as steps:
        for _ in range(50):
            await steps.next()
    # each of the timers alone is late; no upper bound, for the machine may be busy
    assert time.monotonic() - began >= 0.1
    assert steps.tokens == 50
