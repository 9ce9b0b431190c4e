"""What a process tells Prometheus."""

import urllib.request

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.processes import ServerProcess


def scrape(process: ServerProcess) -> str:
    """The text that Prometheus reads."""
    event = process.wait_for("metrics")
    with urllib.request.urlopen(f"http://{event['host']}:{event['port']}/metrics", timeout=10) as response:
        text: str = response.read().decode()
    return text


def families(process: ServerProcess) -> dict[str, Metric]:
    """Each metric by its name; that of a counter without `_total`."""
    return {metric.name: metric for metric in text_string_to_metric_families(scrape(process))}


def value(process: ServerProcess, name: str, **labels: str) -> float | None:
    """The one sample of this name with these labels among its own; None when there is none."""
    samples = [sample for metric in families(process).values() for sample in metric.samples]
    found = [
        sample.value for sample in samples if sample.name == name and labels.items() <= dict(sample.labels).items()
    ]
    assert len(found) < 2, f"{name}{labels} is ambiguous: {found}"
    return found[0] if found else None
