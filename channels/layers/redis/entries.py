"""Entries of a queue, and those that were taken but not yet handed out entirely."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from .. import codec


class Delivery(NamedTuple):
    """An encoded message for one channel; ``deadline`` by the monotonic clock."""

    deadline: float
    channel: str
    message: bytes


class Entry(NamedTuple):
    """One place in the queue of ``owner``, as Redis holds it; see ``common.lua``."""

    owner: str
    data: bytes

    def expires(self) -> float:
        """Milliseconds by the server's clock; ``ValueError`` for an unknown wire version."""
        codec.check_version(self.data)
        return float(self.data[1 : self.data.index(b" ")])

    def deliveries(self, deadline: float) -> list[Delivery]:
        """What the entry holds: one delivery for each of its targets."""
        space, newline = self.data.index(b" "), self.data.index(b"\n")
        targets = self.data[space + 1 : newline].decode().split(" ")
        message = self.data[:1] + self.data[newline + 1 :]
        return [Delivery(deadline, self.owner + target, message) for target in targets]


class Buffer:
    """Deliveries of entries with several targets, which are handed out one by one."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything; with a lock of its own, as a fork may have copied a held one."""
        self._lock = threading.Lock()
        self._deliveries: dict[str, deque[Delivery]] = {}

    def put(self, owner: str, deliveries: Iterable[Delivery]) -> None:
        with self._lock:
            self._deliveries.setdefault(owner, deque()).extend(deliveries)

    def take(self, owners: Iterable[str]) -> Delivery | None:
        """The next delivery for one of ``owners`` that has not expired."""
        if not self._deliveries:
            return None
        with self._lock:
            for owner in owners:
                if delivery := self._take_from(owner):
                    return delivery
        return None

    def _take_from(self, owner: str) -> Delivery | None:
        now = time.monotonic()
        deliveries = self._deliveries.get(owner, deque())
        while deliveries:
            delivery = deliveries.popleft()
            if not deliveries:
                del self._deliveries[owner]
            if delivery.deadline > now:
                return delivery
        return None
