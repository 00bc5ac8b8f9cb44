"""Reads the codec of a stored batch: the attributes in the header of a batch, by a Fetch request of version 10."""

import socket
import struct

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]

# Where the fields lie in a record batch of magic 2.
MAGIC = 16
ATTRIBUTES = 21


def codec_at(address, topic, offset):
    """The codec of the batch with this offset in partition 0, asked of the node that leads it."""
    return CODECS[struct.unpack_from(">h", fetch(address, topic, offset), ATTRIBUTES)[0] & 7]


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def fetch(address, topic, offset):
    host, port = address.rsplit(":", 1)
    # Replica, wait, least and most bytes, isolation, no session; one topic, one partition with its offset; none forgotten.
    body = struct.pack(">iiiibii", -1, 1000, 1, 1 << 20, 0, 0, -1)
    body += struct.pack(">i", 1) + text(topic) + struct.pack(">iiiqqi", 1, 0, -1, offset, -1, 1 << 20)
    body += struct.pack(">i", 0)
    header = struct.pack(">hhi", 1, 10, 7) + text("batches")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(struct.pack(">i", len(header + body)) + header + body)
        stream = connection.makefile("rb")
        (length,) = struct.unpack(">i", stream.read(4))
        answer = stream.read(length)
    # Correlation id, throttle time, error, session, one topic with its name, and its one partition: number, error, three
    # offsets, aborted transactions, size.
    at = 4 + 4 + 2 + 4 + 4 + 2 + len(topic) + 4
    partition, error, _, _, _, aborted, size = struct.unpack_from(">ihqqqii", answer, at)
    assert (partition, error) == (0, 0), (partition, error)
    at += struct.calcsize(">ihqqqii") + 16 * max(aborted, 0)
    batch = answer[at : at + size]
    assert batch[MAGIC] == 2, batch[: MAGIC + 1]
    return batch
