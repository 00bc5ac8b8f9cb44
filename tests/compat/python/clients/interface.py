"""What a scenario asks of a client library."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Record:
    """A record that a consumer was given."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes


class Consumer(Protocol):
    """A member of a group, subscribed to one topic, used by one thread. It commits only when told to."""

    def poll(self) -> list[Record]:
        """What has come, after a short wait if that is nothing."""

    def assignment(self) -> set[int]:
        """The partitions it has now."""

    def commit(self) -> None:
        """Commits what was polled, and waits for the answer."""

    def close(self) -> None:
        """Leaves the group."""


class Client(Protocol):
    """A client library."""

    name: str

    def create_topic(self, bootstrap: str, topic: str, partitions: int) -> None:
        """Makes a topic with three replicas of each partition."""

    def produce(self, bootstrap: str, topic: str, key: bytes | None, values: list[bytes]) -> list[int]:
        """Sends the values, all with this key or without any. The partition of each, once all are acknowledged."""

    def consumer(self, bootstrap: str, topic: str, group: str) -> Consumer:
        """A new member of the group, which begins at the beginning where nothing is committed."""
