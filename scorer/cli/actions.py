"""What the commands do with a store."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scorer.adapters.config import CONFIG_FILE
from scorer.adapters.folder import save_folder
from scorer.adapters.manifest import WEIGHTS_FILE, Manifest
from scorer.adapters.publishing import AliasMove, OnProgress, publish
from scorer.adapters.store import AdapterStore
from scorer.adapters.store_values import AdapterId, Alias, VersionId, VersionInfo
from scorer.adapters.watching import AdapterState, read_state
from services.shared.cli.running import Refused


@dataclass(frozen=True)
class Files:
    """An adapter's files as they were read."""

    manifest: Manifest
    contents: Mapping[str, bytes]


async def publish_files(
    store: AdapterStore, files: Files, alias: str | None, as_next: bool, on_progress: OnProgress
) -> tuple[AdapterId, VersionInfo, Alias | None]:
    """The new version, and the alias that was moved to it."""
    adapter, manifest = AdapterId(files.manifest.model, files.manifest.adapter), files.manifest
    if as_next:
        # the same until something is published, so a second try finds what the first has sent
        manifest = manifest.model_copy(update={"version": await store.next_version(adapter)})
    move = AliasMove(alias, await generation_of(store, adapter, alias)) if alias else None
    info, moved = await publish(store, manifest, files.contents, move, on_progress)
    return adapter, info, moved


async def generation_of(store: AdapterStore, adapter: AdapterId, alias: str) -> int:
    """What an alias is at now; 0 when it is not there."""
    found = (await store.aliases(adapter)).by_name.get(alias)
    return found.generation if found else 0


async def all_adapters(store: AdapterStore, fingerprint: str | None) -> list[AdapterState]:
    """Every adapter, or those for one model, in the order of their names."""
    after, states = "", []
    while True:
        page = await store.adapters(fingerprint, after)
        states += [await read_state(store, adapter, fingerprint) for adapter in page.adapters]
        after = page.next_after
        if not after:
            return states


async def one_adapter(store: AdapterStore, adapter: AdapterId) -> AdapterState:
    """An adapter that has versions."""
    state = await read_state(store, adapter)
    if not state.versions:
        raise Refused(f"{adapter}: is not in the store; `lookaheadkv adapters list` shows what is")
    return state


async def point(store: AdapterStore, adapter: AdapterId, alias: str, version: int) -> Alias:
    """The alias, moved to a version."""
    return await store.set_alias(adapter, alias, version, await generation_of(store, adapter, alias))


async def give_share(store: AdapterStore, adapter: AdapterId, name: str, share: float) -> Alias:
    """The alias, where it was, with this share of the requests for `default`."""
    alias = await _alias(store, adapter, name)
    return await store.set_alias(adapter, name, alias.version, alias.generation, share)


async def go_back(store: AdapterStore, adapter: AdapterId, name: str) -> Alias:
    """The alias, moved to where it was before."""
    alias = await _alias(store, adapter, name)
    if alias.previous is None:
        raise Refused(f"{adapter}: alias {name!r} has no version before {alias.version}; promote one")
    return await store.set_alias(adapter, name, alias.previous, alias.generation)


async def fetch(
    store: AdapterStore, adapter: AdapterId, version: int | None, alias: str, on_progress: OnProgress
) -> Files:
    """The files of a version, or of the one that an alias points at."""
    number = version or (await _alias(store, adapter, alias)).version
    upload = await store.open(VersionId(adapter, number))
    weights, size_bytes = bytearray(), upload.manifest.files.weights.size_bytes
    async for content in store.read(upload):
        weights += content
        on_progress(len(weights), size_bytes)
    return Files(upload.manifest, {CONFIG_FILE: upload.config, WEIGHTS_FILE: bytes(weights)})


def save(folder: Path, files: Files) -> None:
    """Make the folder, complete or not at all. Raises FileExistsError, and Refused when the disk does not take it."""
    try:
        save_folder(folder, files.manifest, files.contents)
    except OSError as error:
        if error.strerror is None:
            # a sentence by itself
            raise
        # the path in it is that of a temporary folder
        raise Refused(f"{folder}: cannot be made: {error.strerror}; choose another folder") from error


async def _alias(store: AdapterStore, adapter: AdapterId, name: str) -> Alias:
    found = (await store.aliases(adapter)).by_name.get(name)
    if found is None:
        raise Refused(f"{adapter}: has no alias {name!r}; `lookaheadkv adapters show {adapter}` shows those it has")
    return found
