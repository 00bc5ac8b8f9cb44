"""The cluster, the clients, and a group for each test."""

import os
import uuid
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka.admin import AdminClient, ConsumerGroupDescription

from clients import CLIENTS
from clients.interface import Client
from group import Group


@pytest.fixture(scope="session")
def bootstrap() -> str:
    """The nodes, as host:port separated by commas."""
    nodes = os.environ.get("COMPAT_BOOTSTRAP")
    assert nodes, "COMPAT_BOOTSTRAP names no nodes; tests/compat/run sets it"
    return nodes


@pytest.fixture(params=CLIENTS, ids=lambda client: client.name)
def client(request: pytest.FixtureRequest) -> Client:
    """Each client in turn."""
    return request.param


@pytest.fixture
def topic(client: Client, bootstrap: str) -> str:
    """A new topic of three partitions, made by the client itself."""
    name = f"{client.name}-{uuid.uuid4().hex[:8]}"
    client.create_topic(bootstrap, name, 3)
    return name


@pytest.fixture
def group(client: Client, bootstrap: str, topic: str) -> Iterator[Group]:
    """A group without members yet. Those it gets leave when the test is over."""
    group = Group(client, bootstrap, topic, f"readers-of-{topic}")
    yield group
    group.leave()


@pytest.fixture(scope="session")
def describe(bootstrap: str) -> Callable[[str], ConsumerGroupDescription]:
    """A group as its coordinator sees it, whichever protocol it speaks."""
    admin = AdminClient({"bootstrap.servers": bootstrap})

    def of(group: str) -> ConsumerGroupDescription:
        return admin.describe_consumer_groups([group], request_timeout=30)[group].result()

    return of
