"""Which scoring configuration a runtime goes by, for Prometheus."""

from collections.abc import Callable, Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from services.runtime.eviction import ScoringDefaults


def scoring_metrics(defaults: Callable[[], ScoringDefaults]) -> Iterator[Metric]:
    """Where the one in force comes from."""
    family = GaugeMetricFamily(
        "lookaheadkv_scoring_source",
        "1 for where the scoring configuration in force comes from: scorer, last_known or builtin.",
        labels=["source"],
    )
    family.add_metric([defaults().source], 1)
    yield family
