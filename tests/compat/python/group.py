"""A consumer group: members that each poll in a thread of their own, and what they were given."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable

from clients.interface import Client, Record

# How long anything may take before it counts as not happening. Far longer than it ever takes.
PATIENCE = 60.0

# Between two looks at what tells nobody when it changes.
ASK_AGAIN_AFTER = 0.05


def wait_until(seen: Callable[[], object], awaited: object) -> None:
    """Waits until what is seen is what is awaited, and fails with both."""
    deadline = time.monotonic() + PATIENCE
    while (now := seen()) != awaited:
        assert time.monotonic() < deadline, f"in vain: {awaited}; instead: {now}"
        time.sleep(ASK_AGAIN_AFTER)


class Member:
    """A consumer in a thread. What it is given goes to the group's queue, with the member's number."""

    def __init__(self, number: int, connect: Callable, deliveries: queue.Queue) -> None:
        self.number = number
        self.assignment: set[int] = set()
        self.failure: BaseException | None = None
        self._connect = connect
        self._deliveries = deliveries
        self._commit = queue.Queue()
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"member {number}", daemon=True)
        self._thread.start()

    def commit(self) -> None:
        """Has the member commit all it has been given, and waits until it has."""
        done = threading.Event()
        self._commit.put(done)
        assert done.wait(PATIENCE), f"in vain: a commit; instead: {self.failure!r}"

    def leave(self) -> None:
        """Ends the member."""
        self._leaving.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), f"in vain: the end of member {self.number}"

    def _run(self) -> None:
        try:
            self._consume(self._connect())
        except BaseException as failure:  # Raised again where somebody waits for the member.
            self.failure = failure

    def _consume(self, consumer) -> None:
        while not self._leaving.is_set():
            for record in consumer.poll():
                self._deliveries.put((self.number, record))
            self.assignment = consumer.assignment()
            while not self._commit.empty():
                consumer.commit()
                self._commit.get().set()
        consumer.close()


class Group:
    """The members of one group, on one topic."""

    def __init__(self, client: Client, bootstrap: str, topic: str, name: str) -> None:
        self.name = name
        self.members: list[Member] = []
        self._deliveries: queue.Queue = queue.Queue()
        self._connect = lambda: client.consumer(bootstrap, topic, name)

    def join(self) -> Member:
        """Starts another member."""
        member = Member(len(self.members), self._connect, self._deliveries)
        self.members.append(member)
        return member

    def assignments(self) -> list[list[int]]:
        """What each member has, the idle ones first. Fails if a member has failed."""
        self._check()
        return sorted(sorted(member.assignment) for member in self.members)

    def take(self, count: int) -> list[tuple[int, Record]]:
        """Waits for so many records. Fails if another one comes uncalled for, as far as that is known by then."""
        deadline = time.monotonic() + PATIENCE
        taken = []
        while len(taken) < count:
            self._check()
            assert time.monotonic() < deadline, f"in vain: {count} records; instead: {len(taken)}"
            with contextlib.suppress(queue.Empty):
                taken.append(self._deliveries.get(timeout=ASK_AGAIN_AFTER))
        assert self._deliveries.empty(), f"more than the {count} records there are: {self._deliveries.get()}"
        return taken

    def leave(self) -> None:
        """Ends all members, one after the other. Fails if a member has failed."""
        for member in self.members:
            member.leave()
        self._check()
        self.members = []

    def _check(self) -> None:
        for member in self.members:
            if member.failure is not None:
                raise member.failure
