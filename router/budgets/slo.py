"""The largest budget with which the answer comes in time."""

from dataclasses import dataclass

from router.budgets.base import BudgetRequest, ReplicaView

# more than any pool holds
NO_LIMIT = 1 << 40


@dataclass(frozen=True)
class SloRule:
    """Keeps what a step of decoding has time to read, beside all that the replica's batch holds.

    Predictions are means: `headroom_ratio` of the time asked for is left to what is slower than the mean. A request
    takes `room_ratio` of the room at most, so that those that come while it runs find some, and do not slow it down.
    The budget does not change the time to its own first token, so no budget will do when that is predicted too late.
    """

    headroom_ratio: float = 0.4
    room_ratio: float = 0.25

    def __post_init__(self) -> None:
        if not 0 <= self.headroom_ratio < 1:
            raise ValueError(f"headroom_ratio is {self.headroom_ratio}; set it to 0 or more and below 1")
        if not 0 < self.room_ratio <= 1:
            raise ValueError(f"room_ratio is {self.room_ratio}; set it above 0 and to 1 at most")

    def cap(self, request: BudgetRequest) -> int | None:
        """The same for every prompt; 0 when no budget meets the SLO, None without an SLO or a replica."""
        ttft, tpot = asked_slo(request)
        if request.replica is None or (ttft is None and tpot is None):
            return None
        if ttft is not None and request.replica.ttft_seconds > ttft:
            return 0
        if tpot is None:
            return None
        most = _resident_tokens(request.replica, tpot * (1 - self.headroom_ratio))
        return max(0, int(self.room_ratio * (most - request.replica.resident_tokens)) - request.new_tokens)


def asked_slo(request: BudgetRequest) -> tuple[float | None, float | None]:
    """TTFT and TPOT in seconds: the request's own, else the tenant's."""
    own, tenant = request.slo, request.limits
    return (
        tenant.ttft_seconds if own.ttft_seconds is None else own.ttft_seconds,
        tenant.tpot_seconds if own.tpot_seconds is None else own.tpot_seconds,
    )


def _resident_tokens(replica: ReplicaView, step_seconds: float) -> int:
    """The KV tokens that a step of so many seconds has time to read."""
    left = step_seconds - replica.tpot_base_seconds
    if left <= 0:
        return 0
    # a replica that was never seen to depend on them; and a quotient that a float cannot hold
    if replica.tpot_token_seconds * NO_LIMIT <= left:
        return NO_LIMIT
    return int(left / replica.tpot_token_seconds)
