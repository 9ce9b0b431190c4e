"""Smaller budgets while the replica runs out of KV slots, before requests have to wait for them."""

from dataclasses import dataclass

from router.budgets.base import BudgetRequest


@dataclass(frozen=True)
class LoadRule:
    """The kept share of a prompt falls from all of it, where `start_ratio` of the slots are used, to `least_ratio`.

    That is reached where `end_ratio` of the slots are used.
    """

    start_ratio: float = 0.8
    end_ratio: float = 0.95
    least_ratio: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.start_ratio < self.end_ratio <= 1:
            wrong = f"start_ratio is {self.start_ratio} and end_ratio is {self.end_ratio}"
            raise ValueError(f"{wrong}; set them between 0 and 1, the first below the second")
        if not 0 < self.least_ratio <= 1:
            raise ValueError(f"least_ratio is {self.least_ratio}; set it above 0 and to 1 at most")

    def cap(self, request: BudgetRequest) -> int | None:
        """No more than the free slots hold beside the answer; None below `start_ratio`, and without a replica."""
        replica = request.replica
        if replica is None or replica.total_slots <= 0:
            return None
        used = replica.resident_tokens / replica.total_slots
        if used <= self.start_ratio:
            return None
        way = min(1.0, (used - self.start_ratio) / (self.end_ratio - self.start_ratio))
        share = max(1, int((1 - way * (1 - self.least_ratio)) * request.prompt_tokens))
        return min(share, max(0, replica.free_slots - request.new_tokens))
