"""The layer that lives in one process: for development, tests and single-process sites."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import ClassVar, TypeVar

from ..types import Content, Received, Sending
from . import codec
from .base import BLOCK_SECONDS, BaseChannelLayer, CapacityPatterns
from .names import queue_of, statistics_name
from .waiting import LoopWaiter, ThreadWaiter, Waiter, Waiters

#: Queues (or groups) that each operation looks at for something that has expired. Two, as an
#: operation makes one at the most: what is abandoned goes away faster than it comes.
SWEEP_STEPS = 2

#: Messages that one ``receive_batch_async`` gives at the most: its event loop has others to serve.
BATCH_LIMIT = 100

Taken = tuple[str, bytes]
TakenTogether = list[tuple[list[str], bytes]]
Result = TypeVar("Result")


class Entry:
    """One place in a queue: a message, and the channels that it is still to be given to."""

    __slots__ = ("body", "expires", "targets")

    def __init__(self, expires: float, targets: Iterable[str], body: bytes) -> None:
        self.expires = expires
        self.targets = deque(targets)
        self.body = body


class InMemoryChannelLayer(BaseChannelLayer):
    """Messages of one process, between all its threads and event loops.

    Takes the arguments of ``BaseChannelLayer``.
    """

    local_only: ClassVar[bool] = True
    takes_packed: ClassVar[bool] = True

    def __init__(
        self,
        expiry: float = 60,
        group_expiry: float = 86400,
        capacity: int = 1000,
        channel_capacity: CapacityPatterns | None = None,
        max_message_size: int | None = None,
    ) -> None:
        super().__init__(expiry, group_expiry, capacity, channel_capacity, max_message_size)
        self._lock = threading.RLock()
        self._waiters = Waiters()
        self._empty()

    def __repr__(self) -> str:
        queues, groups = len(self._queues), len(self._groups)
        return f"<InMemoryChannelLayer: {queues} queues, {groups} groups>"

    def _empty(self) -> None:
        self._queues: OrderedDict[str, deque[Entry]] = OrderedDict()
        self._groups: OrderedDict[str, OrderedDict[str, float]] = OrderedDict()
        self._groups_of: dict[str, set[str]] = {}
        self._sent: dict[str, int] = {}
        self._refused: dict[str, int] = {}

    def send(self, channel: str, message: Content) -> None:
        self.check_channel(channel)
        body = self.encode(message)
        with self._lock:
            depth = self._put(channel, [channel], body)
        if depth is not None:
            raise self.channel_full(channel, depth)

    async def send_async(self, channel: str, message: Content) -> None:
        self.send(channel, message)

    def send_many(self, sendings: Sequence[Sending]) -> list[Exception | None]:
        with self._lock:  # so that nothing of others comes in between
            return super().send_many(sendings)

    async def send_many_async(self, sendings: Sequence[Sending]) -> list[Exception | None]:
        return self.send_many(sendings)

    def receive(self, channels: Iterable[str], block: bool = False) -> Received:
        names = self.check_receive_channels(channels)
        waiter = ThreadWaiter(names, time.monotonic() + BLOCK_SECONDS) if block and names else None
        taken = self._take_or_enlist(self._take, names, waiter)
        while waiter and waiter.unserved:
            try:
                waiter.wait()
            except BaseException:
                self._stop_waiting(waiter)
                raise
            taken = self._take_or_enlist(self._take, names, waiter)
        return _unpack(taken)

    async def receive_async(self, channels: Iterable[str]) -> Received:
        return _unpack(await self._wait_for(self._take, channels))

    async def receive_batch_async(
        self, channels: Iterable[str]
    ) -> list[tuple[list[str], Content]]:
        taken = await self._wait_for(self._take_together, channels)
        return [(targets, codec.decode(body)) for targets, body in taken or ()]

    async def _wait_for(
        self, take: Callable[[list[str]], Result | None], channels: Iterable[str]
    ) -> Result | None:
        names = self.check_receive_channels(channels)
        await asyncio.sleep(0)  # so that a long queue does not hold up the loop
        waiter = LoopWaiter(names, time.monotonic() + BLOCK_SECONDS) if names else None
        taken = self._take_or_enlist(take, names, waiter)
        while waiter and waiter.unserved:
            try:
                await waiter.wait()
            except BaseException:
                self._stop_waiting(waiter)
                raise
            taken = self._take_or_enlist(take, names, waiter)
        return taken

    def group_add(self, group: str, channel: str) -> None:
        self.check_group(group)
        self.check_channel(channel)
        with self._lock:
            self._sweep_groups()
            members = self._groups.setdefault(group, OrderedDict())
            members[channel] = time.monotonic() + self.group_expiry
            members.move_to_end(channel)
            self._groups_of.setdefault(channel, set()).add(group)

    def group_discard(self, group: str, channel: str) -> None:
        self.check_group(group)
        self.check_channel(channel)
        with self._lock:
            self._leave(group, channel)

    def group_channels(self, group: str) -> list[str]:
        self.check_group(group)
        with self._lock:
            return self._live_members(group)

    def group_refresh(self, channels: Iterable[str]) -> None:
        for channel in channels:
            self.check_channel(channel)
            with self._lock:
                for group in list(self._groups_of.get(channel, ())):
                    self._refresh(group, channel)

    def send_group(self, group: str, message: Content) -> None:
        self.check_group(group)
        body = self.encode(message)
        with self._lock:
            by_queue: dict[str, list[str]] = {}
            for member in self._live_members(group):
                by_queue.setdefault(queue_of(member), []).append(member)
            for targets in by_queue.values():
                self._put(targets[0], targets, body)

    def flush(self) -> None:
        with self._lock:
            self._empty()

    def global_statistics(self) -> dict[str, int]:
        with self._lock:
            return {
                "messages_count": sum(self._sent.values()),
                "channel_full_count": sum(self._refused.values()),
            }

    def channel_statistics(self, channel: str) -> dict[str, float]:
        name, queue = statistics_name(channel), queue_of(channel)
        now = time.monotonic()
        with self._lock:
            expiries = [entry.expires for entry in self._queues.get(queue, ())]
            sent, refused = self._sent.get(name, 0), self._refused.get(name, 0)
        pending = [expires for expires in expiries if expires > now]
        return {
            "messages_count": sent,
            "messages_pending": len(pending),
            "messages_max_age": now + self.expiry - pending[0] if pending else 0,
            "channel_full_count": refused,
        }

    def _take_or_enlist(
        self,
        take: Callable[[list[str]], Result | None],
        names: list[str],
        waiter: Waiter | None,
    ) -> Result | None:
        """Take a message; without one, ``waiter`` waits (again), unless its time is up."""
        with self._lock:
            taken = take(names)
            if waiter:
                self._retire(waiter)
                waiter.unserved = taken is None and not waiter.is_over()
                if waiter.unserved:
                    self._waiters.add(waiter)
            return taken

    def _stop_waiting(self, waiter: Waiter) -> None:
        with self._lock:
            self._retire(waiter)

    # From here on, what is called with the lock held.

    def _retire(self, waiter: Waiter) -> None:
        """End the waiting; the wake-up that it got goes on to another, if it is still needed."""
        woken_for = waiter.woken_for
        self._waiters.remove(waiter)
        if woken_for is not None and woken_for in self._queues:
            self._waiters.wake_one(woken_for)

    def _put(self, channel: str, targets: list[str], body: bytes) -> int | None:
        """Queue a message; when the queue of ``channel`` is full, return its depth instead."""
        self._sweep_queues()
        name, counted = queue_of(channel), statistics_name(channel)
        self._drop_expired(name)
        depth = len(self._queues.get(name, ()))
        if depth >= self.get_capacity(channel):
            self._refused[counted] = self._refused.get(counted, 0) + 1
            return depth
        entry = Entry(time.monotonic() + self.expiry, targets, body)
        self._queues.setdefault(name, deque()).append(entry)
        self._sent[counted] = self._sent.get(counted, 0) + 1
        self._waiters.wake_one(name)  # and while something is left, that one wakes the next
        return None

    def _take(self, names: list[str]) -> Taken | None:
        taken = None
        for name, queue in self._ready(names):
            taken = self._take_from(name, queue)
            break
        self._sweep_queues()
        return taken

    def _take_from(self, name: str, queue: deque[Entry]) -> Taken:
        entry = queue[0]
        channel = entry.targets.popleft()
        if not entry.targets:
            queue.popleft()
        if not queue:
            del self._queues[name]
        return channel, entry.body

    def _take_together(self, names: list[str]) -> TakenTogether | None:
        """Take what waits for a process, or one message that other processes could take too."""
        taken: TakenTogether = []
        for name, queue in self._ready(names):
            if name.endswith("!"):
                taken += self._take_entries(name, queue, BATCH_LIMIT - len(taken))
            elif not taken:
                taken = self._take_entries(name, queue, 1)
                break
        self._sweep_queues()
        return taken or None

    def _take_entries(self, name: str, queue: deque[Entry], limit: int) -> TakenTogether:
        entries = [queue.popleft() for _ in range(min(limit, len(queue)))]
        if not queue:
            del self._queues[name]
        return [(list(entry.targets), entry.body) for entry in entries]

    def _ready(self, names: list[str]) -> Iterator[tuple[str, deque[Entry]]]:
        """The queues that hold something, from a random one on, so that none starves."""
        start = random.randrange(len(names)) if len(names) > 1 else 0
        for name in names[start:] + names[:start]:
            self._drop_expired(name, being_read=True)
            if queue := self._queues.get(name):
                yield name, queue

    def _drop_expired(self, name: str, being_read: bool = False) -> None:
        """Drop what has expired; its channels leave their groups, as nobody reads them.

        A process that is just reading its queue is alive, however late it comes.
        """
        queue = self._queues.get(name)
        if queue is None:
            return
        now = time.monotonic()
        alive = being_read and name.endswith("!")
        while queue and queue[0].expires <= now:
            for channel in queue.popleft().targets:
                if not alive:
                    self._leave_all(channel)
        if not queue:
            del self._queues[name]

    def _sweep_queues(self) -> None:
        for _ in range(min(SWEEP_STEPS, len(self._queues))):
            name = next(iter(self._queues))
            self._queues.move_to_end(name)
            self._drop_expired(name)

    def _sweep_groups(self) -> None:
        for _ in range(min(SWEEP_STEPS, len(self._groups))):
            group = next(iter(self._groups))
            self._groups.move_to_end(group)
            self._drop_lapsed(group)

    def _drop_lapsed(self, group: str) -> None:
        now = time.monotonic()
        members = self._groups.get(group)
        while members and next(iter(members.values())) <= now:
            self._leave(group, next(iter(members)))

    def _live_members(self, group: str) -> list[str]:
        self._sweep_groups()
        self._drop_lapsed(group)
        for queue in {queue_of(member) for member in self._groups.get(group, ())}:
            self._drop_expired(queue)
        return list(self._groups.get(group, ()))

    def _refresh(self, group: str, channel: str) -> None:
        self._drop_lapsed(group)
        members = self._groups.get(group)
        if members and channel in members:
            members[channel] = time.monotonic() + self.group_expiry
            members.move_to_end(channel)

    def _leave(self, group: str, channel: str) -> None:
        members = self._groups.get(group)
        if members is None or channel not in members:
            return
        del members[channel]
        if not members:
            del self._groups[group]
        groups = self._groups_of[channel]
        groups.discard(group)
        if not groups:
            del self._groups_of[channel]

    def _leave_all(self, channel: str) -> None:
        for group in list(self._groups_of.get(channel, ())):
            self._leave(group, channel)


def _unpack(taken: Taken | None) -> Received:
    if taken is None:
        return None, None
    channel, body = taken
    return channel, codec.decode(body)
