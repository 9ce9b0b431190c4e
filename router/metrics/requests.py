"""What became of the requests, counted when they end, and how many there are at the moment."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric
from prometheus_client.core import GaugeMetricFamily

from router.metrics.tenant_series import TENANT, TenantMetrics, TenantSeries
from router.metrics.tenants import ByTenant
from router.request_record import RequestRecord

# of the router's own work
SHORT_SECONDS = (0.0001, 0.00025, 0.0005, 0.00075, 0.001, 0.0015, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5)
TOKENS = (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)


class RequestMetrics:
    """Counts requests into `registry`; `max_tenants` tenants have labels of their own."""

    def __init__(self, registry: CollectorRegistry, max_tenants: int) -> None:
        families = TenantMetrics(registry)
        self._by_tenant: ByTenant[TenantSeries] = ByTenant(max_tenants, families.of, families.remove)
        self._open: set[RequestRecord] = set()
        self._rules = Counter(
            "lookaheadkv_budget_rule", "Budgets, by the rule that decided.", ("rule",), registry=registry
        )
        self._budget = _histogram("budget_tokens", "KV tokens that requests were allowed to keep.", TOKENS, registry)
        self._own = _histogram(
            "router_own_seconds", "From arrival to forwarding, without tokenization and queue.", SHORT_SECONDS, registry
        )
        self._tokenizing = _histogram(
            "router_tokenizing_seconds", "Tokenization of a prompt's text.", SHORT_SECONDS, registry
        )
        self._retries = Counter(
            "lookaheadkv_router_retries", "Calls on a runtime after a request's first one.", registry=registry
        )

    def started(self, record: RequestRecord) -> None:
        """It is in flight."""
        self._open.add(record)

    def finished(self, record: RequestRecord) -> None:
        """Count it."""
        self._open.discard(record)
        self._by_tenant.of(record.tenant).count(record)
        if record.placed:
            self._budget.observe(record.placed.budget.tokens)
            self._rules.labels(record.placed.budget.rule).inc()
        if record.attempts:
            self._own.observe(record.own_seconds)
            self._retries.inc(record.attempts - 1)
        if record.tokenizing_seconds:
            self._tokenizing.observe(record.tokenizing_seconds)

    def in_flight(self) -> Iterator[Metric]:
        """Requests of the moment, and the KV that they hold on their runtimes."""
        requests = GaugeMetricFamily(
            "lookaheadkv_router_requests_in_flight", "Requests that have arrived and not ended.", labels=[TENANT]
        )
        tokens = GaugeMetricFamily(
            "lookaheadkv_router_resident_kv_tokens",
            "KV tokens of this router's requests in flight: what they keep, and room for their answers.",
            labels=[TENANT],
        )
        held: dict[str, list[int]] = {}
        for record in self._open:
            held.setdefault(self._by_tenant.label(record.tenant), []).append(record.resident_tokens)
        for tenant, each in sorted(held.items()):
            requests.add_metric([tenant], len(each))
            tokens.add_metric([tenant], sum(each))
        yield requests
        yield tokens


def _histogram(name: str, meaning: str, buckets: tuple[float, ...], registry: CollectorRegistry) -> Histogram:
    return Histogram(f"lookaheadkv_{name}", meaning, registry=registry, buckets=buckets)
