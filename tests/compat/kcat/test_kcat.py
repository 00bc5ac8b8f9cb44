"""A file of a million lines in through kcat and out again, byte for byte and in order."""

import filecmp
import json
import os
import random
import subprocess
import tempfile
import time
import unittest
import uuid
from pathlib import Path

from batches import CODECS, codec_at

BOOTSTRAP = os.environ["COMPAT_BOOTSTRAP"]
NODE = os.environ["COMPAT_NODE"]
LINES = 1_000_000
PATIENCE = 60
FILLER = "the quick brown fox jumps over the lazy dog and then some more"


def kcat(mode, *flags, **streams):
    return subprocess.Popen(["kcat", mode, "-b", BOOTSTRAP, *flags], stderr=subprocess.PIPE, **streams)


def ended(command):
    with command:
        said = command.communicate()[1].decode(errors="replace")
    assert command.returncode == 0 and "Delivery failed" not in said, said


def produce(topic, file, *flags):
    with file.open("rb") as lines:
        ended(kcat("-P", "-t", topic, "-p", "0", "-X", "acks=all", *flags, stdin=lines))


def consume(topic, file):
    with file.open("wb") as lines:
        flags = ["-o", "beginning", "-e", "-q", "-X", "check.crcs=true"]
        ended(kcat("-C", "-t", topic, "-p", "0", *flags, stdout=lines))


def metadata(topic):
    command = ["kcat", "-L", "-J", "-b", BOOTSTRAP, "-t", topic]
    return json.loads(subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE).stdout)


def until(what, ask):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"waited {PATIENCE} s in vain: {what}")


def leader(topic, other_than=None):
    """The node that leads partition 0, and its address. The topic is made by being named."""

    def ask():
        answer = metadata(topic)
        partitions = answer["topics"][0]["partitions"]
        node = partitions[0]["leader"] if partitions else -1
        names = {broker["id"]: broker["name"] for broker in answer["brokers"]}
        return node not in (-1, other_than) and node in names and (node, names[node])

    return until(f"a leader of {topic}", ask)


def end_offset(topic):
    """The first offset that consumers do not see, or 0 while it cannot be told."""
    asked = subprocess.run(["kcat", "-Q", "-b", BOOTSTRAP, "-t", f"{topic}:0:-1"], capture_output=True, text=True)
    return int(asked.stdout.split()[-1]) if asked.returncode == 0 and asked.stdout.split() else 0


class Kcat(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.sent = Path(cls.directory.name) / "sent"
        cls.received = Path(cls.directory.name) / "received"
        # The same file on every run, of lines of 24 to 87 bytes that compress about as text does.
        chance = random.Random(1)
        with cls.sent.open("w") as file:
            for number in range(LINES):
                filler = FILLER[: chance.randrange(len(FILLER))]
                file.write(f"{number:07} {chance.getrandbits(48):012x} {filler} \n")

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def assert_same(self, sent, received):
        self.assertTrue(filecmp.cmp(sent, received, shallow=False), "what came back is not what was sent")

    def test_a_million_lines_pass_through_with_every_codec(self):
        for codec in CODECS:
            with self.subTest(codec=codec):
                topic = f"kcat-{codec}-{uuid.uuid4()}"
                produce(topic, self.sent, "-z", codec)
                consume(topic, self.received)
                self.assert_same(self.sent, self.received)
                # kcat really compressed: it does not if it takes the broker for one that cannot read the codec.
                _, address = leader(topic)
                self.assertEqual(codec_at(address, topic, LINES // 2), codec)

    def test_a_million_lines_survive_the_leaders_death(self):
        topic = f"kcat-killed-{uuid.uuid4()}"
        node, _ = leader(topic)
        lines = self.sent.read_bytes().splitlines(keepends=True)
        producer = kcat(
            "-P", "-t", topic, "-p", "0", "-X", "acks=all", "-X", "enable.idempotence=true", stdin=subprocess.PIPE
        )
        producer.stdin.writelines(lines[: LINES // 2])
        producer.stdin.flush()
        until("a quarter is acknowledged", lambda: end_offset(topic) > LINES // 4)
        # The other quarter is on its way: in kcat's queue, on the wire, in the leader.
        subprocess.run([NODE, "kill", str(node)], check=True)
        producer.stdin.writelines(lines[LINES // 2 : LINES // 4 * 3])
        producer.stdin.flush()
        leader(topic, other_than=node)
        subprocess.run([NODE, "start", str(node)], check=True)
        producer.stdin.writelines(lines[LINES // 4 * 3 :])
        ended(producer)
        consume(topic, self.received)
        self.assert_same(self.sent, self.received)

    def test_a_topic_needs_not_exist(self):
        topic = f"kcat-auto-created-{uuid.uuid4()}"
        few = Path(self.directory.name) / "few"
        with self.sent.open() as lines:
            few.write_text("".join(next(lines) for _ in range(1000)))
        produce(topic, few)
        consume(topic, self.received)
        self.assert_same(few, self.received)


if __name__ == "__main__":
    unittest.main()
