"""confluent-kafka, which is librdkafka, with either of the group protocols."""

from confluent_kafka import Consumer as ConfluentConsumer
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from clients.interface import Record


class Confluent:
    def __init__(self, protocol: str) -> None:
        self.name = f"confluent-kafka-{protocol}"
        self._protocol = protocol

    def create_topic(self, bootstrap: str, topic: str, partitions: int) -> None:
        admin = AdminClient({"bootstrap.servers": bootstrap})
        created = admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=3)])
        created[topic].result(timeout=60)

    def produce(self, bootstrap: str, topic: str, key: bytes | None, values: list[bytes]) -> list[int]:
        partitions = []

        def acknowledged(error, message) -> None:
            if error is not None:
                raise KafkaException(error)
            partitions.append(message.partition())

        # Records without a key go to one partition for as long as it lingers: here each is to choose for itself.
        producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "sticky.partitioning.linger.ms": 0})
        for value in values:
            producer.produce(topic, value=value, key=key, on_delivery=acknowledged)
        assert producer.flush(60) == 0, "some records were not acknowledged"
        return partitions

    def consumer(self, bootstrap: str, topic: str, group: str) -> "Consumer":
        # With the consumer protocol it is the coordinator that says how often it wants to hear of a member.
        own = {"heartbeat.interval.ms": 250} if self._protocol == "classic" else {}
        return Consumer(bootstrap, topic, group, {"group.protocol": self._protocol, **own})


class Consumer:
    def __init__(self, bootstrap: str, topic: str, group: str, config: dict) -> None:
        self._consumer = ConfluentConsumer({
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            **config,
        })
        self._consumer.subscribe([topic])

    def poll(self) -> list[Record]:
        records = []
        for message in self._consumer.consume(num_messages=100, timeout=0.1):
            error = message.error()
            # One node may hear of a new topic a moment after another; librdkafka says so and asks again.
            if error is not None and error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                continue
            if error is not None:
                raise KafkaException(error)
            records.append(Record(message.partition(), message.offset(), message.key(), message.value()))
        return records

    def assignment(self) -> set[int]:
        return {partition.partition for partition in self._consumer.assignment()}

    def commit(self) -> None:
        for partition in self._consumer.commit(asynchronous=False):
            if partition.error is not None:
                raise KafkaException(partition.error)

    def close(self) -> None:
        self._consumer.close()
