"""What a scorer sidecar tells Prometheus: of its configuration, its registry, and the adapters on its disk."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from scorer.adapters.cache import AdapterCache
from scorer.config_source import ConfigSource
from scorer.registry.connection import StoreConnection
from scorer.registry.feed import AdapterFeeds

# an alias may be given any name
MAX_ALIASES = 100


class CacheMetrics(Collector):
    """Of the disk, which is looked at on the thread that is scraped."""

    def __init__(self, cache: AdapterCache) -> None:
        self._cache = cache

    def collect(self) -> Iterator[Metric]:
        yield _gauge("adapter_cache_bytes", "Bytes of fetched adapters on the disk.", self._cache.used_bytes())
        yield _gauge("adapter_cache_limit_bytes", "How many there may be.", self._cache.max_bytes)
        fetches = CounterMetricFamily(
            "lookaheadkv_adapter_fetches", "Adapters taken from the registry, by how that ended.", labels=["result"]
        )
        for result, count in (("ok", self._cache.fetched), ("failed", self._cache.failed)):
            fetches.add_metric([result], count)
        yield fetches


def config_metrics(source: ConfigSource) -> Iterator[Metric]:
    """Which scoring configuration is in force."""
    family = GaugeMetricFamily(
        "lookaheadkv_scoring_config", "1 for the version of the scoring configuration in force.", labels=["version"]
    )
    family.add_metric([source.version], 1)
    yield family
    refused = "1 when its file cannot be used, so that the last good one stays in force."
    yield _gauge("scoring_config_refused", refused, bool(source.refused))


def registry_metrics(connection: StoreConnection, feeds: AdapterFeeds) -> Iterator[Metric]:
    """Whether the registry answers, and what aliases stand for on this disk."""
    if connection.configured:
        yield _gauge("adapter_registry_up", "1 when Redis answers.", connection.answers)
    labels = ["model", "alias"]
    version = GaugeMetricFamily(
        "lookaheadkv_adapter_alias_version", "What an alias serves with, by the model's hash; 0: none.", labels=labels
    )
    refused = GaugeMetricFamily(
        "lookaheadkv_adapter_alias_refused", "1 for an alias whose own version cannot be used.", labels=labels
    )
    known = [(model, name, alias) for model, aliases in feeds.known() for name, alias in sorted(aliases.items())]
    for model, name, alias in known[:MAX_ALIASES]:
        version.add_metric([model, name], alias.adapter.version.number if alias.adapter else 0)
        refused.add_metric([model, name], float(bool(alias.problem)))
    yield version
    yield refused


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"lookaheadkv_{name}", meaning, float(value))
