"""What became of the requests that were answered, by what scored them."""

import warnings

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from protos.generation.v1 import generation_pb2
from services.shared.durations import to_seconds
from services.shared.metrics import SECONDS
from services.shared.tracing.spans import finish_reason

# by whom: `adapter`, `version` and `alias` are empty where no adapter scored
SCORED_BY = ("policy", "adapter", "version", "alias")
# most of what tells two versions from each other lies near 1
RATIOS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.99, 0.995)
MAX_SCORERS = 100


class RequestMetrics:
    """Counts answers into `registry`.

    Versions come and go for months, so only `max_scorers` combinations of SCORED_BY are held; for one more, the one
    that was used least recently is forgotten. Should it come back, it counts from 0, as after a restart.
    """

    def __init__(self, registry: CollectorRegistry, max_scorers: int = MAX_SCORERS) -> None:
        self._max_scorers = max_scorers
        # in the order of their last use
        self._scorers: dict[tuple[str, ...], None] = {}
        self._requests = Counter(
            "lookaheadkv_requests", "Requests answered to their end.", ("policy", "finish_reason"), registry=registry
        )
        self._retained = Counter(
            "lookaheadkv_kv_tokens_retained", "Prompt tokens whose KV was kept.", SCORED_BY, registry=registry
        )
        self._evicted = Counter(
            "lookaheadkv_kv_tokens_evicted", "Prompt tokens whose KV was freed.", SCORED_BY, registry=registry
        )
        self._mass = Histogram(
            "lookaheadkv_predicted_mass_ratio",
            "Share of what the policy predicts that lies on kept tokens; comparable within a policy only.",
            SCORED_BY,
            registry=registry,
            buckets=RATIOS,
        )
        self._queue_wait = self._seconds("queue_wait", "From arrival in the engine to the first step.", registry)
        self._ttft = self._seconds("ttft", "From arrival at the runtime to the first token.", registry)
        self._scoring = self._seconds("scoring", "The pass that scored an evicted prompt.", registry)
        self._compaction = self._seconds("compaction", "The move of an evicted prompt's kept KV.", registry)

    def finished(self, answer: generation_pb2.GenerateComplete) -> None:
        """Count an answer by its report."""
        kv = answer.kv
        self._requests.labels(kv.policy, finish_reason(answer)).inc()
        scorer = (kv.policy, kv.adapter, str(kv.adapter_version or ""), kv.adapter_alias)
        self._use(scorer)
        self._retained.labels(*scorer).inc(kv.kept_tokens)
        self._evicted.labels(*scorer).inc(kv.freed_tokens)
        times = {self._queue_wait: kv.queue_time, self._ttft: kv.ttft}
        if kv.freed_tokens:
            times |= {self._scoring: kv.scoring_time, self._compaction: kv.compaction_time}
        for histogram, duration in times.items():
            histogram.labels(*scorer).observe(to_seconds(duration))
        if kv.HasField("retained_mass"):
            self._mass.labels(*scorer).observe(kv.retained_mass)

    def _use(self, scorer: tuple[str, ...]) -> None:
        self._scorers.pop(scorer, None)
        self._scorers[scorer] = None
        if len(self._scorers) > self._max_scorers:
            oldest = next(iter(self._scorers))
            del self._scorers[oldest]
            with warnings.catch_warnings():
                # SGLang shares series between processes, where nothing can be removed; ours are of this one alone
                warnings.simplefilter("ignore", UserWarning)
                for metric in self._by_scorer():
                    metric.remove(*oldest)

    def _by_scorer(self) -> tuple[MetricWrapperBase, ...]:
        times = (self._queue_wait, self._ttft, self._scoring, self._compaction)
        return (self._retained, self._evicted, self._mass, *times)

    def _seconds(self, what: str, meaning: str, registry: CollectorRegistry) -> Histogram:
        return Histogram(f"lookaheadkv_{what}_seconds", meaning, SCORED_BY, registry=registry, buckets=SECONDS)
