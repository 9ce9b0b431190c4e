"""Adapters, versions, aliases and events as messages."""

from dataclasses import asdict

from protos.scorer.v1 import adapter_registry_pb2 as pb
from scorer.adapters.publishing import AliasMove, describe_upload
from scorer.adapters.store_values import Alias, StoreEvent, Upload, VersionInfo
from scorer.adapters.watching import AdapterState, Change
from scorer.registry.names import adapter_name

KINDS = {
    "published": pb.ADAPTER_EVENT_KIND_PUBLISHED,
    "alias": pb.ADAPTER_EVENT_KIND_ALIAS,
    "alias_removed": pb.ADAPTER_EVENT_KIND_ALIAS_REMOVED,
    "deleted": pb.ADAPTER_EVENT_KIND_DELETED,
}


def version_message(info: VersionInfo) -> pb.AdapterVersion:
    return pb.AdapterVersion(**asdict(info))


def alias_message(alias: Alias) -> pb.Alias:
    return pb.Alias(**asdict(alias))


def adapter_message(state: AdapterState) -> pb.Adapter:
    """An adapter with its versions and aliases."""
    return pb.Adapter(
        name=adapter_name(state.adapter),
        versions=[version_message(info) for info in state.versions],
        aliases=[alias_message(alias) for alias in state.aliases.by_name.values()],
        revision=state.aliases.revision,
    )


def event_message(event: StoreEvent) -> pb.AdapterEvent:
    kind = KINDS.get(event.kind, pb.ADAPTER_EVENT_KIND_UNSPECIFIED)
    return pb.AdapterEvent(number=event.number, kind=kind, version=event.version, alias=event.alias)


def update_message(update: tuple[AdapterState, ...] | Change) -> pb.WatchAdaptersResponse:
    """The state of all adapters, or the change of one."""
    if isinstance(update, Change):
        events = [event_message(event) for event in update.events]
        return pb.WatchAdaptersResponse(change=pb.AdapterChange(adapter=adapter_message(update.state), events=events))
    return pb.WatchAdaptersResponse(state=pb.AdapterSet(adapters=[adapter_message(state) for state in update]))


def description_message(upload: Upload) -> pb.AdapterDescription:
    """A version without its weights."""
    return pb.AdapterDescription(manifest=upload.manifest.to_json(), config=upload.config, chunk_sums=upload.chunk_sums)


def to_upload(message: pb.AdapterDescription) -> Upload:
    """Of what a publisher sent. Raises AdapterInvalid, AdapterDamaged, AdapterMismatch."""
    return describe_upload(message.manifest, message.config, tuple(message.chunk_sums))


def to_move(start: pb.PublishStart) -> AliasMove | None:
    """The alias that a publisher wants to move, if any."""
    move = start.move_alias
    return AliasMove(move.alias, move.generation) if start.HasField("move_alias") else None
