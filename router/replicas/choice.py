"""Which of several replicas gets a request."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from router.latency.room import RoomRule
from router.replicas.replica import Replica


@dataclass(frozen=True)
class Wanted:
    """What a request needs of a replica: KV slots at most, and the parts of that. `hashes` are those of its prompt."""

    prompt_tokens: int
    new_tokens: int
    hashes: Sequence[int] = ()

    @property
    def kv_tokens(self) -> int:
        """The slots of its prefill, and of its longest answer."""
        return self.prompt_tokens + self.new_tokens


def choose(replicas: Sequence[Replica], wanted: Wanted, rule: RoomRule, avoid: Collection[Replica] = ()) -> Replica:
    """The least loaded one, or the one that has the prompt's beginning cached where that answers sooner.

    Of those that are trusted and have room, if there are any; one to `avoid` only where there is no other.
    """
    others = [replica for replica in replicas if replica not in avoid] or replicas
    trusted = trusted_of(others)
    roomy = [replica for replica in trusted if rule.has_room(replica.occupancy, wanted.kv_tokens)] or trusted
    least = min(roomy, key=Replica.load_key)
    matched = {replica: replica.prefixes.matched_tokens(wanted.hashes) for replica in roomy} if wanted.hashes else {}
    most = max(matched.values(), default=0)
    if not most or matched[least] == most:
        return least
    best = min((replica for replica in roomy if matched[replica] == most), key=Replica.load_key)
    return min((best, least), key=lambda replica: _expected_seconds(replica, wanted, matched[replica]))


def trusted_of(replicas: Sequence[Replica]) -> Sequence[Replica]:
    """Those among which the choice is: that are not left alone, or all where there are no others."""
    return [replica for replica in replicas if replica.trusted] or replicas


def _expected_seconds(replica: Replica, wanted: Wanted, matched_tokens: int) -> float:
    """Until the end of the longest answer, by what the replica took for others."""
    tracker = replica.tracker
    ttft = tracker.model.predict_ttft(wanted.prompt_tokens - matched_tokens, tracker.queued_prompt_tokens)
    return ttft + wanted.new_tokens * tracker.model.predict_tpot(tracker.resident_tokens)
