"""The names of Redis keys: all of one adapter lie in one hash slot, so one script can change them together."""

from dataclasses import dataclass

from scorer.adapters.store_values import AdapterId, Upload

# a hint: members without versions are skipped. Not in the slot of any adapter
INDEX = "adapter:index"


def index_of(fingerprint: str) -> str:
    """Of the adapters for one model fingerprint."""
    return f"{INDEX}:{fingerprint}"


@dataclass(frozen=True)
class AdapterKeys:
    """The keys that an adapter has once. Neither part of its id may contain braces, which would move the slot.

    versions    hash: number -> fingerprint, bytes, Unix ms when created
    used        set: every number that was ever committed
    idle        hash: number -> Unix ms since when no alias needs it
    aliases     hash: name -> version, generation, previous, token of the writer, share; `:revision` -> last event
    events      stream: the id is the event's number, then -0
    """

    adapter: AdapterId

    @property
    def versions(self) -> str:
        return self._key("versions")

    @property
    def used(self) -> str:
        return self._key("used")

    @property
    def idle(self) -> str:
        return self._key("idle")

    @property
    def aliases(self) -> str:
        return self._key("aliases")

    @property
    def events(self) -> str:
        return self._key("events")

    @property
    def shared(self) -> tuple[str, ...]:
        """Those that every script is given first."""
        return (self.versions, self.aliases, self.idle, self.events)

    def manifest(self, number: int) -> str:
        """Hash: manifest, config, sums of the chunks, tag."""
        return self._key(f"{number}:manifest")

    def chunk(self, upload: Upload, index: int) -> str:
        """String. The tag keeps two publishers of one number apart, so their bytes never mix."""
        return self._key(f"{upload.version.number}:{upload.tag}:chunk:{index}")

    def chunks(self, upload: Upload) -> tuple[str, ...]:
        """Of all chunks, in their order."""
        return tuple(self.chunk(upload, index) for index in range(len(upload.chunk_sums)))

    def _key(self, rest: str) -> str:
        return f"adapter:{{{self.adapter}}}:{rest}"
