"""An admin client that lives long, that of confluent-kafka: through one lost node after the other, beside a producer.

kafka-python's is left out: it never connects again to a node whose connection it has lost (2.3.3, `await_ready` looks at the last
failure before it tries).

After each loss and return, every call has to be answered again, and rightly, within `PATIENCE`. What a client's library does
wrong by itself is named in `FAULTS`, and allowed where it is named; it is no less wrong of other brokers.

ADMIN_KILLS     how many nodes are killed, one after the other (3)
"""

import collections
import os
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from admin_process import AdminProcess, Crashed, Failed
from group import ASK_AGAIN_AFTER, PATIENCE

PARTITIONS = 3

# Enough for each node to coordinate some.
GROUPS = 6

FAULTS = {
    "cached coordinator": "librdkafka remembers a coordinator for five minutes, whatever it answers: ListConsumerGroupOffsets and "
    "DescribeConsumerGroups go to a node that is NOT_COORDINATOR any more",
    "ends: no error, and no offset": "librdkafka tells offset -1001 without an error of a partition whose leader has not answered",
    "crash": "confluent-kafka 2.16.1 ends with SIGSEGV when OffsetFetch is answered NOT_COORDINATOR",
}


class Load:
    """A producer at work: how many records of each partition it has sent, and how many are acknowledged."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.sent: collections.Counter[int] = collections.Counter()
        self.acknowledged: collections.Counter[int] = collections.Counter()
        self._failures: list[str] = []
        self._ending = threading.Event()
        self._producer = Producer({
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "linger.ms": 5,
            "message.timeout.ms": 120_000,
        })
        self._topic = topic
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        number = 0
        while not self._ending.is_set():
            partition = number % PARTITIONS
            self.sent[partition] += 1
            self._producer.produce(self._topic, b"%d" % number, partition=partition, on_delivery=self._told)
            self._producer.poll(0.002)
            number += 1

    def _told(self, error, message) -> None:
        if error is not None:
            self._failures.append(str(error))
        else:
            self.acknowledged[message.partition()] += 1

    def end(self) -> None:
        self._ending.set()
        self._thread.join()
        assert self._producer.flush(PATIENCE) == 0, "some records were never acknowledged"
        assert not self._failures, self._failures[:3]


@pytest.fixture
def own_topic(bootstrap: str) -> str:
    """A topic of three partitions."""
    name = f"admin-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, num_partitions=PARTITIONS, replication_factor=3)])[name].result(timeout=60)
    return name


@pytest.fixture
def load(bootstrap: str, own_topic: str) -> Iterator[Load]:
    load = Load(bootstrap, own_topic)
    yield load
    load.end()


def commit(bootstrap: str, topic: str, groups: list[str]) -> dict[int, int]:
    """What each of the groups, which have no members, has committed."""
    offsets = {index: 10 + index for index in range(PARTITIONS)}
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for group in groups:
        rows = [TopicPartition(topic, index, offset) for index, offset in offsets.items()]
        asked = [ConsumerGroupTopicPartitions(group, rows)]
        admin.alter_consumer_group_offsets(asked, request_timeout=30)[group].result()
    return offsets


def node(command: str, number: int) -> None:
    subprocess.run([os.environ["COMPAT_NODE"], command, str(number)], check=True)


def is_whole(bootstrap: str) -> Callable[[], bool]:
    """Whether every replica is in sync and every partition is led by its first replica, as a fresh client is told."""
    admin = AdminClient({"bootstrap.servers": bootstrap})

    def look() -> bool:
        topics = admin.list_topics(timeout=10).topics.values()
        rows = [row for topic in topics for row in topic.partitions.values()]
        return all(len(row.isrs) == len(row.replicas) and row.leader == row.replicas[0] for row in rows)

    return look


def wait_whole(bootstrap: str, whole: bool) -> None:
    deadline = time.monotonic() + PATIENCE
    look = is_whole(bootstrap)
    while True:
        try:
            if look() == whole:
                return
        except Exception:  # A node that is just being killed.
            look = is_whole(bootstrap)
        assert time.monotonic() < deadline, f"in vain: all is well is {whole}"
        time.sleep(ASK_AGAIN_AFTER)


def answered(client, faults: collections.Counter, may_fail: bool, right: Callable, name: str, *arguments) -> None:
    """Calls until the answer is right. Without `may_fail` that is within `PATIENCE`."""
    deadline = time.monotonic() + (10 if may_fail else PATIENCE)
    while True:
        wrong = None
        try:
            answer = client.call(name, *arguments)
            assert right(answer), f"{name}{arguments} is answered {answer}"
            return
        except Crashed:
            faults["crash"] += 1
            return
        except Failed as failure:
            wrong = str(failure)
            faults[wrong] += 1
        if time.monotonic() > deadline:
            assert may_fail, f"in vain: {name}{arguments}; instead: {wrong}"
            faults["cached coordinator"] += 1
            return
        time.sleep(ASK_AGAIN_AFTER)


def test_an_admin_client_lives_through_the_loss_of_nodes(bootstrap: str, own_topic: str, load: Load) -> None:
    groups = [f"{own_topic}-{number}" for number in range(GROUPS)]
    offsets = commit(bootstrap, own_topic, groups)
    client = AdminProcess(bootstrap)
    faults: collections.Counter[str] = collections.Counter()

    def all_calls() -> None:
        def are_nodes_and_leaders(answer: tuple) -> bool:
            nodes, leaders = answer
            return set(leaders.values()) <= set(nodes) and len(leaders) == PARTITIONS

        answered(client, faults, False, are_nodes_and_leaders, "metadata", own_topic)
        known = dict(load.acknowledged)

        def are_ends(answer: dict) -> bool:
            return all(known.get(index, 0) <= answer[index] <= load.sent[index] for index in range(PARTITIONS))

        answered(client, faults, False, are_ends, "ends", own_topic, PARTITIONS)
        for group in groups:
            answered(client, faults, True, lambda answer: answer == offsets, "committed", group)
            answered(client, faults, False, lambda answer: answer == ("EMPTY", 0), "state", group)

    wait_whole(bootstrap, True)
    all_calls()
    try:
        for kill in range(int(os.environ.get("ADMIN_KILLS", "3"))):
            number = kill % 3 + 1
            node("kill", number)
            wait_whole(bootstrap, False)
            node("start", number)
            wait_whole(bootstrap, True)
            all_calls()
    finally:
        client.end()
        for fault, count in faults.most_common():
            print(f"{count} times: {FAULTS.get(fault, fault)}")
