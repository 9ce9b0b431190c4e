"""What is counted for each tenant."""

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from router.budgets.slo import asked_slo
from router.request_record import RequestRecord
from services.shared.metrics import SECONDS

TENANT = "tenant"
TPOT_SECONDS = (0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)


class TenantMetrics:
    """The families that have a label for the tenant."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._families: list[MetricWrapperBase] = []
        self.requests = self._counter("router_requests", "Requests that ended, by gRPC status.", "status")
        self.rejections = self._counter("rejections", "Requests that no runtime was given, by reason.", "reason")
        self.slo = self._counter("slo_requests", "Answers that had an SLO, by whether they met it.", "slo", "met")
        self.prompt_tokens = self._counter("router_prompt_tokens", "Prompt tokens of answered requests.")
        self.completion_tokens = self._counter("router_completion_tokens", "Tokens of answers.")
        self.retained = self._counter("router_kv_tokens_retained", "Prompt tokens whose KV was kept.")
        self.evicted = self._counter("router_kv_tokens_evicted", "Prompt tokens whose KV was freed.")
        self.seconds = self._histogram("request", "From arrival to end.", SECONDS)
        self.ttft = self._histogram("ttft", "From arrival to the first token.", SECONDS)
        self.tpot = self._histogram("tpot", "For each token behind those of the first message.", TPOT_SECONDS)
        self.queue_wait = self._histogram("queue_wait", "In this router's queue.", SECONDS)

    def of(self, tenant: str) -> "TenantSeries":
        """The series of one label."""
        return TenantSeries(self, tenant)

    def remove(self, tenant: str) -> None:
        """There is nothing with this label any more."""
        for family in self._families:
            family.remove_by_labels({TENANT: tenant})

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        made = Counter(f"lookaheadkv_{name}", meaning, (TENANT, *labels), registry=self._registry)
        self._families.append(made)
        return made

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...]) -> Histogram:
        made = Histogram(
            f"lookaheadkv_router_{name}_seconds", meaning, (TENANT,), registry=self._registry, buckets=buckets
        )
        self._families.append(made)
        return made


class TenantSeries:
    """Those of one tenant, looked up as rarely as can be."""

    def __init__(self, metrics: TenantMetrics, tenant: str) -> None:
        self._metrics = metrics
        self._tenant = tenant
        self._answers = (
            metrics.prompt_tokens.labels(tenant),
            metrics.completion_tokens.labels(tenant),
            metrics.retained.labels(tenant),
            metrics.evicted.labels(tenant),
        )
        self._seconds = metrics.seconds.labels(tenant)
        self._ttft = metrics.ttft.labels(tenant)
        self._tpot = metrics.tpot.labels(tenant)
        self._queue_wait = metrics.queue_wait.labels(tenant)

    def count(self, record: RequestRecord) -> None:
        """A request that has ended."""
        self._metrics.requests.labels(self._tenant, record.status).inc()
        if record.rejection:
            self._metrics.rejections.labels(self._tenant, record.rejection).inc()
        self._seconds.observe(record.seconds)
        if record.attempts or record.queue_seconds:
            self._queue_wait.observe(record.queue_seconds)
        if (ttft := record.ttft_seconds) is not None:
            self._ttft.observe(ttft)
        if (tpot := record.tpot_seconds) is not None:
            self._tpot.observe(tpot)
        if record.complete:
            usage, kv = record.complete.usage, record.complete.kv
            counts = (usage.prompt_tokens, usage.completion_tokens, kv.kept_tokens, kv.freed_tokens)
            for counter, tokens in zip(self._answers, counts, strict=True):
                counter.inc(tokens)
            self._count_slo(record, ttft, tpot)

    def _count_slo(self, record: RequestRecord, ttft: float | None, tpot: float | None) -> None:
        if record.placed is None:
            return
        asked = asked_slo(record.placed.asked)
        for name, limit, seconds in zip(("ttft", "tpot"), asked, (ttft, tpot), strict=True):
            if limit is not None and seconds is not None:
                met = "yes" if seconds <= limit else "no"
                self._metrics.slo.labels(self._tenant, name, met).inc()
