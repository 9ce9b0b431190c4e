"""What a command prints: a table for people, JSON for programs."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from scorer.adapters.manifest import Manifest
from scorer.adapters.store_values import Alias, VersionInfo
from scorer.adapters.watching import AdapterState

PIPE_COLUMNS = 250


def tell(value: Any, as_json: bool, for_people: Callable[[], Table | str]) -> None:
    """Print `value` as JSON, or what people read."""
    if as_json:
        typer.echo(json.dumps(value, indent=2))
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        # what reads it would not find a name that is folded
        console = Console(highlight=False, width=PIPE_COLUMNS)
    console.print(for_people(), soft_wrap=True)


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
    table = _table("adapter", "versions", "aliases", "newest", "model fingerprint")
    for state in states:
        newest = state.versions[-1]
        aliases = ", ".join(_arrow(alias) for alias in state.aliases.by_name.values())
        table.add_row(
            str(state.adapter), str(len(state.versions)), aliases, _size(newest.size_bytes), newest.model_fingerprint
        )
    return table


def versions_table(state: AdapterState) -> Table:
    """A row for each version of an adapter."""
    table = _table("version", "aliases", "size", "published", "needed")
    for info in state.versions:
        names = [_with_share(alias) for alias in state.aliases.by_name.values() if alias.version == info.number]
        table.add_row(str(info.number), ", ".join(names), _size(info.size_bytes), _time(info.created_ms), _needed(info))
    return table


def alias_sentence(alias: Alias) -> str:
    """Where an alias points now."""
    before = f", before {alias.previous}" if alias.previous else ""
    share = f", with {alias.share:.4g} of the requests for default" if alias.share else ""
    return f"{alias.name} is version {alias.version}{before}{share}"


def _table(*columns: str) -> Table:
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


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
