"""What a node tells Prometheus, read by Prometheus' own parser."""

import os
import time
import urllib.request

import pytest
from confluent_kafka import Producer
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families


@pytest.fixture
def metrics() -> str:
    """The address of a node's metrics."""
    address = os.environ.get("COMPAT_METRICS")
    if not address:
        pytest.skip("this cluster has no metrics for Prometheus: they are Trilog's")
    return address


def scrape(address: str) -> dict[str, Metric]:
    """All families by name."""
    with urllib.request.urlopen(address, timeout=10) as answer:
        text = answer.read().decode()
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(set(names)) == len(names)
    return {family.name: family for family in families}


def requests_in(families: dict[str, Metric]) -> float:
    """How many requests the node has answered."""
    return sum(sample.value for sample in families["trilog_requests"].samples)


def test_prometheus_reads_every_family(metrics: str, bootstrap: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce("topic1", b"counted", partition=0)
    producer.flush(30)
    # A scrape is good for half a second; what was counted meanwhile is in the next one.
    deadline = time.monotonic() + 30
    while not requests_in(families := scrape(metrics)):
        assert time.monotonic() < deadline, "no request was counted"
        time.sleep(0.1)
    for name, family in families.items():
        assert family.type in ("counter", "gauge", "histogram"), name
        assert family.documentation, name
        assert name.startswith(("trilog_", "process_")), name
