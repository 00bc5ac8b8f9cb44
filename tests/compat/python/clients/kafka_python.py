"""kafka-python."""

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

from clients.interface import Record


class KafkaPython:
    name = "kafka-python"

    def create_topic(self, bootstrap: str, topic: str, partitions: int) -> None:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=3)])
        admin.close()

    def produce(self, bootstrap: str, topic: str, key: bytes | None, values: list[bytes]) -> list[int]:
        producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
        futures = [producer.send(topic, value=value, key=key) for value in values]
        partitions = [future.get(timeout=60).partition for future in futures]
        producer.close()
        return partitions

    def consumer(self, bootstrap: str, topic: str, group: str) -> "Consumer":
        return Consumer(bootstrap, topic, group)


class Consumer:
    def __init__(self, bootstrap: str, topic: str, group: str) -> None:
        self._consumer = KafkaConsumer(
            topic,
            bootstrap_servers=bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            heartbeat_interval_ms=250,
        )

    def poll(self) -> list[Record]:
        polled = self._consumer.poll(timeout_ms=100)
        return [Record(r.partition, r.offset, r.key, r.value) for records in polled.values() for r in records]

    def assignment(self) -> set[int]:
        return {partition.partition for partition in self._consumer.assignment()}

    def commit(self) -> None:
        self._consumer.commit()

    def close(self) -> None:
        self._consumer.close()
