"""Reports whose figures are still being computed on the device."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import torch

from services.runtime.eviction import EvictionReport


class Stopwatch:
    """Time of the work enqueued between construction and `stop`, on CPU or on the current CUDA stream."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._start = self._mark()
        self._end: Any = None

    def stop(self) -> None:
        self._end = self._mark()

    def seconds(self) -> float:
        """Elapsed seconds; waits for the device."""
        if not self._cuda:
            return float(self._end - self._start)
        self._end.synchronize()
        return float(self._start.elapsed_time(self._end)) / 1000

    def ended(self) -> float:
        """When that was, in seconds since the epoch: on CUDA when the host saw it, which it waits for."""
        if not self._cuda:
            return time.time() - (time.perf_counter() - float(self._end))
        self._end.synchronize()
        return time.time()

    def before(self, later: Stopwatch) -> float:
        """Seconds from the end of this one to that of a later one; waits for the device."""
        if not self._cuda:
            return float(later._end - self._end)
        later._end.synchronize()
        return float(self._end.elapsed_time(later._end)) / 1000

    def _mark(self) -> Any:
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


@dataclass(frozen=True)
class PendingReport:
    """An `EvictionReport` in the making. `scoring` times the pass that this request shared with others of its step."""

    kept_tokens: int
    free_slots_before: int = 0
    free_slots_after: int = 0
    retained_mass: torch.Tensor | float | None = None
    scoring: Stopwatch | None = None
    compaction: Stopwatch | None = None
    skipped: str = ""
    adapter: str = ""
    adapter_version: int = 0
    replaced: str = ""
    choice: str = ""

    def finish(self) -> dict[str, Any]:
        """The `EvictionReport` as a plain dictionary; waits for the device."""
        scoring_ended, compaction_ended = self._ends()
        report = EvictionReport(
            kept_tokens=self.kept_tokens,
            free_slots_before=self.free_slots_before,
            free_slots_after=self.free_slots_after,
            retained_mass=None if self.retained_mass is None else float(self.retained_mass),
            scoring_seconds=self.scoring.seconds() if self.scoring else 0.0,
            compaction_seconds=self.compaction.seconds() if self.compaction else 0.0,
            scoring_ended=scoring_ended,
            compaction_ended=compaction_ended,
            skipped=self.skipped,
            adapter=self.adapter,
            adapter_version=self.adapter_version,
            replaced=self.replaced,
            choice=self.choice,
        )
        return asdict(report)

    def _ends(self) -> tuple[float, float]:
        """Of scoring and compaction, in seconds since the epoch; 0 where there was none."""
        compacted = self.compaction.ended() if self.compaction else 0.0
        if self.scoring is None:
            return 0.0, compacted
        if self.compaction is None:
            return self.scoring.ended(), 0.0
        # not what the host saw of it, which may be as late as the end of both
        return compacted - self.scoring.before(self.compaction), compacted
