"""What waits for one connection: a bounded buffer between the reader and a slow socket."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from ..types import Content
from .reply_format import SocketReply, socket_reply
from .sizes import size_of


class Reply:
    """A worker's message, which all connections share that it is for; it is never altered.

    What it costs to look into it is paid once, not once per connection.
    """

    def __init__(self, content: Content) -> None:
        self.content = content
        self.size = size_of(content)
        self._for_socket: SocketReply | None = None

    def __repr__(self) -> str:
        return f"<Reply {', '.join(self.content)} bytes={self.size}>"

    @property
    def for_socket(self) -> SocketReply:
        """What it asks of a socket; raises ``MalformedReply``."""
        if self._for_socket is None:
            self._for_socket = socket_reply(self.content)
        return self._for_socket


class Mailbox:
    """Replies on the channel ``name``, in order, for one reader.

    ``max_messages`` and ``max_bytes`` bound what waits. When a reply exceeds them,
    everything that waits is dropped and ``on_overflow`` is called, once.
    """

    def __init__(
        self, name: str, max_messages: int, max_bytes: int, on_overflow: Callable[[], object]
    ) -> None:
        self.name = name
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._on_overflow = on_overflow
        self._replies: deque[Reply] = deque()
        self._bytes = 0
        self._overflowed = False
        self._arrival: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<Mailbox {self.name} messages={len(self._replies)} bytes={self._bytes}>"

    def put(self, reply: Reply) -> None:
        """Add ``reply``; never waits."""
        if self._overflowed:
            return
        self._replies.append(reply)
        self._bytes += reply.size
        if len(self._replies) > self._max_messages or self._bytes > self._max_bytes:
            self._overflowed = True
            self._replies.clear()
            self._on_overflow()
        elif self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def waiting(self) -> list[Reply]:
        """What nobody has taken yet."""
        return list(self._replies)

    async def get(self) -> Reply:
        """Wait for the next reply, and take it."""
        while not self._replies:
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        reply = self._replies.popleft()
        self._bytes -= reply.size
        return reply
