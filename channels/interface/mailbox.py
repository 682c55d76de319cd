"""What waits for one connection: a bounded buffer between the reader and a slow socket."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from ..types import Content

#: Bytes that a message counts besides its payload, so that empty messages are bounded too.
MESSAGE_OVERHEAD = 512


class Mailbox:
    """Messages for the channel ``name``, in order, for one reader.

    ``max_messages`` and ``max_bytes`` bound what waits. When a message exceeds them,
    everything that waits is dropped and ``on_overflow`` is called, once.
    """

    def __init__(
        self, name: str, max_messages: int, max_bytes: int, on_overflow: Callable[[], object]
    ) -> None:
        self.name = name
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._on_overflow = on_overflow
        self._messages: deque[Content] = deque()
        self._bytes = 0
        self._overflowed = False
        self._arrived = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Mailbox {self.name} messages={len(self._messages)} bytes={self._bytes}>"

    def put(self, message: Content) -> None:
        """Add ``message``; never waits."""
        if self._overflowed:
            return
        self._messages.append(message)
        self._bytes += _size(message)
        if len(self._messages) > self._max_messages or self._bytes > self._max_bytes:
            self._overflowed = True
            self._messages.clear()
            self._on_overflow()
            return
        self._arrived.set()

    def waiting(self) -> list[Content]:
        """What nobody has taken yet."""
        return list(self._messages)

    async def get(self) -> Content:
        """Wait for the next message, and take it."""
        while not self._messages:
            self._arrived.clear()
            await self._arrived.wait()
        message = self._messages.popleft()
        self._bytes -= _size(message)
        return message


def _size(message: Content) -> int:
    payloads = (message.get(key) for key in ("content", "text", "bytes"))
    return MESSAGE_OVERHEAD + sum(len(p) for p in payloads if isinstance(p, (str, bytes)))
