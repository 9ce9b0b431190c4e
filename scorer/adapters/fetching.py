"""How a version leaves a store for a folder: checked while it passes, and there only when all of it was right."""

import asyncio
import os
from pathlib import Path
from typing import BinaryIO

from scorer.adapters.bundle import check_of
from scorer.adapters.config import CONFIG_FILE, AdapterConfig
from scorer.adapters.folder import rename, temporary_sibling, write
from scorer.adapters.manifest import MANIFEST_FILE, WEIGHTS_FILE
from scorer.adapters.store import AdapterStore
from scorer.adapters.store_values import Upload
from scorer.adapters.weights_check import WeightsCheck


async def fetch_folder(store: AdapterStore, upload: Upload, folder: Path) -> None:
    """Make `folder` appear with this version in it; at most two chunks are in memory.

    Raises AdapterDamaged, AdapterInvalid, StoreError, and OSError when the disk does not take it.
    """
    check = check_of(upload.manifest, AdapterConfig.from_json(upload.config))
    with temporary_sibling(folder) as half_made:
        await asyncio.to_thread(_write_small_files, half_made, upload)
        with await asyncio.to_thread((half_made / WEIGHTS_FILE).open, "wb") as file:
            async for content in store.read(upload):
                await asyncio.to_thread(_take, content, check, file)
            check.end()
            await asyncio.to_thread(_sync, file)
        await asyncio.to_thread(rename, half_made, folder)


def _write_small_files(half_made: Path, upload: Upload) -> None:
    write(half_made / CONFIG_FILE, upload.config)
    write(half_made / MANIFEST_FILE, upload.manifest.to_json())


def _take(content: bytes, check: WeightsCheck, file: BinaryIO) -> None:
    check.feed(content)
    file.write(content)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
