"""Entries of a queue, and those that were taken but not yet handed out entirely."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

#: How entries begin, see ``common.lua``.
VERSION = b"\x01"


class Entry(NamedTuple):
    """One place in the queue of ``owner`` in a shard, as Redis holds it; see ``common.lua``."""

    shard: int
    owner: str
    data: bytes

    def expires(self) -> float:
        """Milliseconds by the server's clock; ``ValueError`` for an unknown version."""
        if self.data[:1] != VERSION:
            raise ValueError(
                f"an entry begins with {self.data[:1]!r}, but this release of channels reads "
                f"those that begin with {VERSION!r}: run the same release in every process"
            )
        return float(self.data[1 : self.data.index(b" ")])

    def open(self) -> tuple[str, bytes]:
        """Whom it is for (see ``common.lua``), and the encoded message."""
        head, _, message = self.data.partition(b"\n")
        return head[head.index(b" ") + 1 :].decode(), message


class Delivery(NamedTuple):
    """An encoded message for some channels, if it is handed out before ``deadline``.

    That is by the monotonic clock.
    """

    deadline: float
    channels: list[str]
    message: bytes


class Buffer:
    """What was taken from queues and is still to be handed out, in its order."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything; with a lock of its own, as a fork may have copied a held one."""
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Entry | Delivery]] = {}

    def is_empty(self) -> bool:
        return not self._waiting

    def put(self, entries: Iterable[Entry]) -> None:
        """Add entries behind what waits for their owners."""
        with self._lock:
            for entry in entries:
                self._waiting.setdefault(entry.owner, deque()).append(entry)

    def put_back(self, owner: str, item: Entry | Delivery) -> None:
        """Add what was taken last, in front of what waits."""
        with self._lock:
            self._waiting.setdefault(owner, deque()).appendleft(item)

    def take(self, owners: Iterable[str]) -> tuple[str, Entry | Delivery] | None:
        """The next one for any of ``owners``, and whose it is, unless it has expired."""
        if not self._waiting:
            return None
        with self._lock:
            for owner in owners:
                waiting = self._waiting.get(owner)
                while waiting:
                    item = waiting.popleft()
                    if not waiting:
                        del self._waiting[owner]
                    if isinstance(item, Entry) or item.deadline > time.monotonic():
                        return owner, item
        return None
