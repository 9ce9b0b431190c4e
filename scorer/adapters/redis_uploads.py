"""How a version gets into Redis: chunks that expire by themselves, until one script makes them a version."""

import asyncio
import hashlib

from scorer.adapters.errors import AdapterDamaged
from scorer.adapters.redis_keys import INDEX, AdapterKeys, index_of
from scorer.adapters.redis_records import parse_version
from scorer.adapters.store_errors import UploadIncomplete, VersionExists
from scorer.adapters.store_values import AdapterId, StoreLimits, Upload, VersionInfo
from services.shared.redis.commands import RedisCommands


class RedisUploads:
    """The part of the store that publishers need."""

    def __init__(self, commands: RedisCommands, limits: StoreLimits) -> None:
        self._commands = commands
        self._limits = limits

    async def next_version(self, adapter: AdapterId) -> int:
        used = await self._commands.call("SMEMBERS", AdapterKeys(adapter).used)
        return max((int(number) for number in used), default=0) + 1

    async def begin(self, upload: Upload) -> frozenset[int]:
        await self._check_number(upload)
        there = [index for index in range(len(upload.chunk_sums)) if await self._keep(upload, index)]
        return frozenset(there)

    async def put_chunk(self, upload: Upload, index: int, content: bytes) -> None:
        await asyncio.to_thread(upload.check_chunk, index, content)
        key = AdapterKeys(upload.version.adapter).chunk(upload, index)
        # never over a chunk that is there: it may belong to a version by now
        if not await self._commands.call("SET", key, content, "NX", "EX", self._limits.upload_grace_seconds):
            await self._keep(upload, index)

    async def commit(self, upload: Upload) -> VersionInfo:
        await self._check_number(upload)
        await self._read_back(upload)
        keys, number = AdapterKeys(upload.version.adapter), upload.version.number
        await self._write_index(upload)
        status, *rest = await self._commands.script(
            "commit",
            (*keys.shared, keys.used, keys.manifest(number), *keys.chunks(upload)),
            self._limits.max_events,
            number,
            upload.manifest.to_json(),
            upload.config,
            " ".join(upload.chunk_sums),
            upload.tag,
            upload.manifest.model_fingerprint,
            upload.manifest.files.weights.size_bytes,
        )
        if status == "exists":
            raise _exists(upload)
        if status == "missing":
            raise _incomplete(upload, tuple(int(index) for index in rest))
        return parse_version(number, rest[0])

    async def abort(self, upload: Upload) -> None:
        keys = AdapterKeys(upload.version.adapter)
        for key in keys.chunks(upload):
            # expires now, if it would expire at all: those of a version would not
            await self._commands.call("PEXPIRE", key, 0, "XX")

    async def _check_number(self, upload: Upload) -> None:
        """Raises VersionExists when it was used for another version. The script checks again."""
        keys, number = AdapterKeys(upload.version.adapter), upload.version.number
        if await self._commands.call("SISMEMBER", keys.used, number):
            stored = await self._commands.call("HMGET", keys.manifest(number), "manifest", "tag")
            if stored != [upload.manifest.to_json(), upload.tag.encode()]:
                raise _exists(upload)

    async def _keep(self, upload: Upload, index: int) -> bool:
        """Whether a chunk is there; if so, for another while."""
        key = AdapterKeys(upload.version.adapter).chunk(upload, index)
        # GT leaves those of a version alone, which never expire
        await self._commands.call("EXPIRE", key, self._limits.upload_grace_seconds, "GT")
        size_bytes: int = await self._commands.call("STRLEN", key)
        return size_bytes == upload.chunk_bytes(index)

    async def _read_back(self, upload: Upload) -> None:
        whole, missing = hashlib.sha256(), []
        for index in range(len(upload.chunk_sums)):
            if not await self._keep(upload, index):
                missing.append(index)
            elif not missing:
                content = await self._read_chunk(upload, index)
                await asyncio.to_thread(whole.update, content)
        if missing:
            raise _incomplete(upload, tuple(missing))
        if whole.hexdigest() != upload.manifest.files.weights.sha256:
            await self.abort(upload)
            raise AdapterDamaged(f"{upload.version}: the sha256 of all chunks is not the manifest's; publish it anew")

    async def _read_chunk(self, upload: Upload, index: int) -> bytes:
        key = AdapterKeys(upload.version.adapter).chunk(upload, index)
        content: bytes | None = await self._commands.call("GET", key)
        if content is None:
            raise _incomplete(upload, (index,))
        try:
            await asyncio.to_thread(upload.check_chunk, index, content)
        except AdapterDamaged as error:
            # so that it can be sent again
            await self._commands.call("PEXPIRE", key, 0, "XX")
            raise AdapterDamaged(f"{error}, as Redis gives it back; send it again") from error
        return content

    async def _write_index(self, upload: Upload) -> None:
        # first, so that no version is ever without; without the version, it is only a hint
        for key in (INDEX, index_of(upload.manifest.model_fingerprint)):
            await self._commands.call("ZADD", key, 0, str(upload.version.adapter))


def _exists(upload: Upload) -> VersionExists:
    return VersionExists(
        f"{upload.version}: the number was used for another version, which may be deleted; publish it as the next one"
    )


def _incomplete(upload: Upload, missing: tuple[int, ...]) -> UploadIncomplete:
    return UploadIncomplete(
        f"{upload.version}: {len(missing)} of {len(upload.chunk_sums)} chunks are not in the store, "
        f"the first is {missing[0]}; send them and commit again",
        missing,
    )
