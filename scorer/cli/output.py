"""What the commands print of adapters."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from scorer.adapters.manifest import Manifest
from scorer.adapters.store_values import Alias, VersionInfo
from scorer.adapters.watching import AdapterState
from services.shared.cli.output import table_of


def state_value(state: AdapterState) -> dict[str, Any]:
    """An adapter for programs."""
    return {
        "adapter": str(state.adapter),
        "versions": [asdict(info) for info in state.versions],
        "aliases": [asdict(alias) for alias in state.aliases.by_name.values()],
    }


def manifest_value(manifest: Manifest) -> dict[str, Any]:
    """A checked adapter for programs."""
    return {
        "adapter": f"{manifest.model}/{manifest.adapter}",
        "version": manifest.version,
        "model_fingerprint": manifest.model_fingerprint,
        "size_bytes": manifest.files.weights.size_bytes,
        "sha256": manifest.files.weights.sha256,
    }


def adapters_table(states: Sequence[AdapterState]) -> Table:
    """A row for each adapter."""
    table = table_of("adapter", "versions", "aliases", "newest", "model fingerprint")
    for state in states:
        newest = state.versions[-1]
        aliases = ", ".join(_arrow(alias) for alias in state.aliases.by_name.values())
        table.add_row(
            str(state.adapter), str(len(state.versions)), aliases, _size(newest.size_bytes), newest.model_fingerprint
        )
    return table


def versions_table(state: AdapterState) -> Table:
    """A row for each version of an adapter."""
    table = table_of("version", "aliases", "size", "published", "needed")
    for info in state.versions:
        names = [_with_share(alias) for alias in state.aliases.by_name.values() if alias.version == info.number]
        table.add_row(str(info.number), ", ".join(names), _size(info.size_bytes), _time(info.created_ms), _needed(info))
    return table


def alias_sentence(alias: Alias) -> str:
    """Where an alias points now."""
    before = f", before {alias.previous}" if alias.previous else ""
    share = f", with {alias.share:.4g} of the requests for default" if alias.share else ""
    return f"{alias.name} is version {alias.version}{before}{share}"


def _arrow(alias: Alias) -> str:
    return f"{_with_share(alias)} -> {alias.version}"


def _with_share(alias: Alias) -> str:
    return f"{alias.name} ({alias.share:.4g} of default)" if alias.share else alias.name


def _needed(info: VersionInfo) -> str:
    return "yes" if info.idle_since_ms is None else f"not since {_time(info.idle_since_ms)}"


def _time(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _size(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 20):.1f} MiB"
