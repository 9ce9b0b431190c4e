"""`python -m tests.integration.publisher URL`: sends one chunk of an upload, says so, and never goes on."""

import asyncio
import sys

from tests.adapter_uploads import make_upload, make_weights
from tests.integration.stores import store_at


async def send_one_chunk(url: str) -> None:
    weights = make_weights(100)
    async with store_at(url, upload_grace_seconds=1) as store:
        await store.put_chunk(make_upload(weights), 0, weights)
        print("sent", flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(send_one_chunk(sys.argv[1]))
