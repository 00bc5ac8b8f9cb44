"""What groups of consumers in Python do with three partitions, by each of the clients."""

from collections.abc import Callable

from confluent_kafka import ConsumerGroupState

from clients.interface import Client
from group import Group, wait_until


def test_of_four_consumers_on_three_partitions_one_is_idle(
    client: Client, bootstrap: str, topic: str, group: Group, describe: Callable
) -> None:
    for _ in range(4):
        group.join()
    await_share(group, describe, [[], [0], [1], [2]])

    # Without keys all partitions are used.
    used = client.produce(bootstrap, topic, None, [b"%d" % number for number in range(300)])
    taken = group.take(300)
    assert {record.value for _, record in taken} == {b"%d" % number for number in range(300)}
    assert {record.partition for _, record in taken} == set(used) == {0, 1, 2}
    assert all(record.partition in group.members[member].assignment for member, record in taken)

    # With one key it is one partition only, and so one consumer.
    used = client.produce(bootstrap, topic, b"key", [b"%d" % number for number in range(100)])
    taken = group.take(100)
    assert [record.value for _, record in taken] == [b"%d" % number for number in range(100)]
    assert {record.key for _, record in taken} == {b"key"}
    assert {record.partition for _, record in taken} == set(used)
    assert len(set(used)) == 1
    assert len({member for member, _ in taken}) == 1


def test_a_consumer_that_restarts_goes_on_where_it_committed(
    client: Client, bootstrap: str, topic: str, group: Group
) -> None:
    def produce(name: str, count: int) -> set[bytes]:
        values = [f"{name}-{number}".encode() for number in range(count)]
        client.produce(bootstrap, topic, None, values)
        return set(values)

    def take(count: int) -> set[bytes]:
        return {record.value for _, record in group.take(count)}

    first = group.join()
    committed = produce("committed", 60)
    assert take(60) == committed
    first.commit()
    uncommitted = produce("uncommitted", 30)
    assert take(30) == uncommitted
    group.leave()

    group.join()
    new = produce("new", 30)
    assert take(60) == uncommitted | new


def await_share(group: Group, describe: Callable, share: list[list[int]]) -> None:
    """Waits until the members share the partitions like this, both in their own eyes and in the coordinator's."""

    def seen() -> tuple:
        group_seen = describe(group.name)
        assigned = sorted(
            sorted(partition.partition for partition in member.assignment.topic_partitions)
            for member in group_seen.members
        )
        return group.assignments(), assigned, group_seen.state

    wait_until(seen, (share, share, ConsumerGroupState.STABLE))
