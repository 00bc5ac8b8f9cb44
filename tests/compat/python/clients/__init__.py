"""What the scenarios do with a client library, in the library's own words, one module a library."""

from clients import aio, confluent, kafka_python
from clients.interface import Client

CLIENTS: list[Client] = [
    kafka_python.KafkaPython(),
    confluent.Confluent(protocol="classic"),
    confluent.Confluent(protocol="consumer"),
    aio.AioKafka(),
]
