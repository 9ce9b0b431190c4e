"""SGLang's own series, wherever it keeps them."""

from collections.abc import Iterator

from prometheus_client import REGISTRY, Metric
from prometheus_client.multiprocess import MultiProcessCollector

PREFIX = "sglang:"


def sglang_metrics() -> Iterator[Metric]:
    """Those of its other processes, which leave them in files, then those of this one."""
    seen: set[str] = set()
    for metric in (*_in_files(), *REGISTRY.collect()):
        # one name twice would spoil the whole scrape
        if metric.name.startswith(PREFIX) and metric.name not in seen:
            seen.add(metric.name)
            yield metric


def _in_files() -> list[Metric]:
    try:
        # where SGLang's environment variable says
        return list(MultiProcessCollector(None).collect())
    except ValueError:
        # an operator switched its metrics off
        return []
