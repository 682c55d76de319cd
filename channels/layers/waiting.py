"""Receivers that wait for a message: threads and coroutines, side by side.

Everything here but ``wait`` is called with the layer's lock held. A waiter is woken for one
queue and then takes what it finds itself, so a message belongs to nobody until it is taken: a
waiter that was cancelled meanwhile only has to pass its wake-up on.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict


class Waiter:
    """One receiver that waits for a message on any of its queues."""

    def __init__(self, queues: list[str], deadline: float) -> None:
        self.queues = queues
        self.deadline = deadline
        self.unserved = True
        self.enlisted = False
        self.woken_for: str | None = None

    def is_over(self) -> bool:
        """True when the time to wait is up."""
        return time.monotonic() >= self.deadline

    def wake(self) -> bool:
        """End the waiting; ``False`` when nobody waits any more."""
        raise NotImplementedError


class ThreadWaiter(Waiter):
    """A thread in a blocking ``receive``."""

    def __init__(self, queues: list[str], deadline: float) -> None:
        super().__init__(queues, deadline)
        self._event = threading.Event()

    def wait(self) -> None:
        self._event.wait(max(0, self.deadline - time.monotonic()))
        self._event.clear()

    def wake(self) -> bool:
        self._event.set()
        return True


class LoopWaiter(Waiter):
    """A coroutine in ``receive_async``; made in the loop that it runs in."""

    def __init__(self, queues: list[str], deadline: float) -> None:
        super().__init__(queues, deadline)
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    async def wait(self) -> None:
        timer = self._loop.call_later(self.deadline - time.monotonic(), self._event.set)
        try:
            await self._event.wait()
        finally:
            timer.cancel()
        self._event.clear()

    def wake(self) -> bool:
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:  # the loop was closed
            return False
        return True


class Waiters:
    """Who waits for which queue, first come, first served."""

    def __init__(self) -> None:
        self._by_queue: dict[str, OrderedDict[Waiter, None]] = {}

    def __len__(self) -> int:
        return len({waiter for waiters in self._by_queue.values() for waiter in waiters})

    def add(self, waiter: Waiter) -> None:
        waiter.enlisted = True
        for queue in waiter.queues:
            self._by_queue.setdefault(queue, OrderedDict())[waiter] = None

    def remove(self, waiter: Waiter) -> None:
        """``waiter`` waits no more, and forgets what it was woken for."""
        waiter.woken_for = None
        if not waiter.enlisted:
            return
        waiter.enlisted = False
        for queue in waiter.queues:
            waiters = self._by_queue.get(queue, OrderedDict())
            waiters.pop(waiter, None)
            if not waiters:
                self._by_queue.pop(queue, None)

    def wake_one(self, queue: str) -> None:
        """Wake the receiver that has waited longest for ``queue``, if there is one."""
        while waiters := self._by_queue.get(queue):
            waiter = next(iter(waiters))
            self.remove(waiter)
            # One whose time is up looks at its queues once more by itself, and it may be of
            # a loop that was stopped for good: the wake-up must not end there.
            if not waiter.is_over() and waiter.wake():
                waiter.woken_for = queue
                return
