"""A long-lived admin client of confluent-kafka in a process of its own, as a crash of the library takes its process with it."""

import multiprocessing
from multiprocessing.connection import Connection

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec


# librdkafka asks each leader, and takes what one of them did not answer for answered: it tells this offset, and no error.
NOT_ASKED = -1001


class Crashed(Exception):
    """The process is gone. The next call has a new one, and so a fresh client."""


class Failed(Exception):
    """What the library says."""


class AdminProcess:
    """Calls by name, one at a time; see `_Calls`."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._start()

    def call(self, name: str, *arguments):
        try:
            self._calls.send((name, arguments))
            is_well, answer = self._calls.recv()
        except (EOFError, ConnectionError) as gone:
            self._process.join()
            code = self._process.exitcode
            self._start()
            raise Crashed(f"{name}: the client's process ended with {code}") from gone
        if not is_well:
            raise Failed(answer)
        return answer

    def end(self) -> None:
        self._calls.close()
        self._process.join(10)
        self._process.kill()

    def _start(self) -> None:
        # A new interpreter: nothing of the library's threads is inherited.
        context = multiprocessing.get_context("spawn")
        self._calls, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._bootstrap), daemon=True)
        self._process.start()
        theirs.close()


def _serve(calls: Connection, bootstrap: str) -> None:
    client = _Calls(bootstrap)
    while True:
        try:
            name, arguments = calls.recv()
        except EOFError:
            return
        try:
            answer = (True, getattr(client, name)(*arguments))
        except Exception as error:
            answer = (False, f"{name}: {error}")
        calls.send(answer)


class _Calls:
    """Answers in words that a pipe can carry."""

    # How long one attempt may take. A client that has lost its node does not wait for long.
    TIMEOUT = 5.0

    def __init__(self, bootstrap: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "socket.timeout.ms": 5000})

    def metadata(self, topic: str) -> tuple[list[int], dict[int, int]]:
        """The nodes, and who leads which partition."""
        shown = self._admin.list_topics(topic, timeout=self.TIMEOUT)
        partitions = shown.topics[topic].partitions
        return sorted(shown.brokers), {index: row.leader for index, row in partitions.items()}

    def ends(self, topic: str, partitions: int) -> dict[int, int]:
        """The end of each partition."""
        asked = {TopicPartition(topic, index): OffsetSpec.latest() for index in range(partitions)}
        listed = self._admin.list_offsets(asked, request_timeout=self.TIMEOUT)
        ends = {place.partition: future.result().offset for place, future in listed.items()}
        if NOT_ASKED in ends.values():
            raise RuntimeError("no error, and no offset")
        return ends

    def committed(self, group: str) -> dict[int, int]:
        """What a group has committed, by partition."""
        asked = [ConsumerGroupTopicPartitions(group)]
        listed = self._admin.list_consumer_group_offsets(asked, request_timeout=self.TIMEOUT)
        return {row.partition: row.offset for row in listed[group].result().topic_partitions}

    def state(self, group: str) -> tuple[str, int]:
        """A group's state, and how many members it has."""
        described = self._admin.describe_consumer_groups([group], request_timeout=self.TIMEOUT)
        group_seen = described[group].result()
        return group_seen.state.name, len(group_seen.members)
