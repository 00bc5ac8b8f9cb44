"""aiokafka. Each call runs the event loop until it is done; heartbeats go on while somebody polls."""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from clients.interface import Record


class AioKafka:
    name = "aiokafka"

    def create_topic(self, bootstrap: str, topic: str, partitions: int) -> None:
        async def create() -> None:
            admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
            await admin.start()
            answer = await admin.create_topics([NewTopic(topic, partitions, replication_factor=3)])
            await admin.close()
            refused = [error for error in answer.topic_errors if error[1] != 0]
            assert not refused, refused

        asyncio.run(create())

    def produce(self, bootstrap: str, topic: str, key: bytes | None, values: list[bytes]) -> list[int]:
        async def send() -> list[int]:
            async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
                futures = [await producer.send(topic, value=value, key=key) for value in values]
                return [sent.partition for sent in await asyncio.wait_for(asyncio.gather(*futures), 60)]

        return asyncio.run(send())

    def consumer(self, bootstrap: str, topic: str, group: str) -> "Consumer":
        return Consumer(bootstrap, topic, group)


class Consumer:
    def __init__(self, bootstrap: str, topic: str, group: str) -> None:
        self._runner = asyncio.Runner()

        async def start() -> AIOKafkaConsumer:
            consumer = AIOKafkaConsumer(
                topic,
                bootstrap_servers=bootstrap,
                group_id=group,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                heartbeat_interval_ms=250,
            )
            await consumer.start()
            return consumer

        self._consumer = self._runner.run(start())

    def poll(self) -> list[Record]:
        polled = self._runner.run(self._consumer.getmany(timeout_ms=100))
        return [Record(r.partition, r.offset, r.key, r.value) for records in polled.values() for r in records]

    def assignment(self) -> set[int]:
        return {partition.partition for partition in self._consumer.assignment()}

    def commit(self) -> None:
        self._runner.run(self._consumer.commit())

    def close(self) -> None:
        self._runner.run(self._consumer.stop())
        self._runner.close()
