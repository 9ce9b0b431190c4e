"""The adapter of a stack on one machine: put into its registry, and scored with from there."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import grpc
from rich.console import Console

from protos.runtime.v1 import runtime_pb2, runtime_pb2_grpc
from scorer.adapters.bundle import verify_bundle
from scorer.adapters.errors import AdapterError
from scorer.adapters.fingerprint import model_fingerprint, read_config
from scorer.adapters.folder import read_files
from scorer.adapters.manifest import Manifest
from scorer.adapters.publishing import OnProgress, publish
from scorer.adapters.redis_store import open_redis_store
from scorer.adapters.shipped import find_shipped
from scorer.adapters.store_errors import StoreError
from scorer.adapters.store_values import DEFAULT_ALIAS, AdapterId, VersionId
from scorer.cli.running import progress
from scorer.registry.names import version_name
from services.local.process import PROBE_SECONDS, ProcessFailed
from services.shared.redis.options import RedisOptions


def publish_adapter(model_path: Path, adapter_path: str, redis_url: str, console: Console) -> VersionId | None:
    """Put the adapter in this folder, else the one shipped for the model, into an empty registry as `default`.

    None when there is none for this model. Raises ProcessFailed with the reason when it cannot be published.
    """
    try:
        config = read_config(model_path)
        folder = Path(adapter_path) if adapter_path else find_shipped(model_fingerprint(config))
        if folder is None:
            console.print("no adapter is shipped for this model, so none is published", soft_wrap=True)
            return None
        manifest, contents = read_files(folder, config)
        verify_bundle(manifest, contents, config)
        version = VersionId(AdapterId(manifest.model, manifest.adapter), manifest.version)
        with progress(f"publishing {version_name(version)}", console) as told:
            asyncio.run(_publish(redis_url, manifest, contents, told))
    except (AdapterError, StoreError, OSError, ValueError) as error:
        raise ProcessFailed(f"the adapter was not published: {error}") from error
    console.print(f"[green]✓[/] published {version_name(version)}", soft_wrap=True)
    return version


async def _publish(url: str, manifest: Manifest, contents: Mapping[str, bytes], told: OnProgress) -> None:
    async with open_redis_store(RedisOptions(url)) as store:
        await publish(store, manifest, contents, on_progress=told)


def scores_from_registry(runtime: grpc.Channel, version: VersionId) -> bool:
    """Whether requests that name no adapter are scored with this version, which came from the registry."""
    try:
        info = runtime_pb2_grpc.RuntimeServiceStub(runtime).GetModelInfo(
            runtime_pb2.GetModelInfoRequest(), timeout=PROBE_SECONDS
        )
    except grpc.RpcError:
        return False
    scoring = [
        (alias.adapter.name, alias.adapter.version)
        for alias in info.aliases
        if alias.name == DEFAULT_ALIAS and not alias.problem
    ]
    return version_name(version) in info.loaded_adapters and scoring == [(version.adapter.name, version.number)]
