"""One reader per process and event loop: takes every reply at once, to its connection."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from ..layers.names import random_name
from ..types import Content
from .layer_io import LayerIO
from .mailbox import Mailbox, Reply

logger = logging.getLogger("channels.interface")

#: The names of reply channels begin with these, followed by ``.PROCESS!``.
HTTP_REPLIES = "http.response"
SOCKET_REPLIES = "websocket.send"

#: Seconds before reading again after the layer failed: doubles from the first to the last, so
#: that a short outage costs little time and a long one little work.
FIRST_BACKOFF = 0.1
LAST_BACKOFF = 2.0

#: Bytes of replies (of which the smallest count ``MESSAGE_OVERHEAD``) after which the other tasks
#: of the event loop get their turn: so that a connection that takes its replies never has more
#: than this waiting, and that a reply to all sockets holds up nobody else.
TURN_BYTES = 16 * 1024

#: Seconds that a receive without a message should have waited at least, and the pause after
#: one that did not: keeps layers that return at once from using the CPU while idle.
SHORTEST_WAIT = 0.01
IDLE_PAUSE = 0.05


class ReplyReader:
    """Reads the reply channels of this process and fills mailboxes; never waits for a socket.

    ``on_unread`` is called with each reply that no connection takes, as it has ended.
    """

    def __init__(self, io: LayerIO, on_unread: Callable[[Content], object]) -> None:
        self.process = random_name()
        self._io = io
        self._on_unread = on_unread
        self._channels = [f"{kind}.{self.process}!" for kind in (HTTP_REPLIES, SOCKET_REPLIES)]
        self._mailboxes: dict[str, Mailbox] = {}
        self._task: asyncio.Task[None] | None = None
        self._backoff = 0.0
        self._turn = 0

    def __repr__(self) -> str:
        return f"<ReplyReader {self.process} connections={len(self._mailboxes)}>"

    def start(self) -> None:
        """Begin to read, unless that is under way."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._read(), name=f"replies of {self.process}")

    async def stop(self) -> None:
        """End the reading; what waits on the layer is left to expire."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def open(
        self, kind: str, max_messages: int, max_bytes: int, on_overflow: Callable[[], object]
    ) -> Mailbox:
        """A mailbox under a new reply channel of ``kind``."""
        name = f"{kind}.{self.process}!{random_name()}"
        mailbox = Mailbox(name, max_messages, max_bytes, on_overflow)
        self._mailboxes[name] = mailbox
        return mailbox

    def close(self, mailbox: Mailbox) -> None:
        """What waits in ``mailbox``, and what else arrives for it, is unread."""
        self._mailboxes.pop(mailbox.name, None)
        for reply in mailbox.waiting():
            self._on_unread(reply.content)

    def open_channels(self, kind: str) -> list[str]:
        """The reply channels of ``kind`` that have a connection."""
        return [name for name in self._mailboxes if name.startswith(kind)]

    async def _read(self) -> None:
        while True:
            try:
                await self._read_batch()
            except Exception as error:
                await self._back_off(error)

    async def _read_batch(self) -> None:
        started = time.monotonic()
        batch = await self._io.receive(self._channels)
        self._recovered()
        for channels, message in batch:
            await self._hand_out(channels, Reply(message))
        if not batch and time.monotonic() - started < SHORTEST_WAIT:
            await asyncio.sleep(IDLE_PAUSE)

    async def _hand_out(self, channels: list[str], reply: Reply) -> None:
        for channel in channels:
            self._hand_over(channel, reply)
            self._turn += reply.size
            if self._turn >= TURN_BYTES:
                self._turn = 0
                await asyncio.sleep(0)

    def _hand_over(self, channel: str, reply: Reply) -> None:
        mailbox = self._mailboxes.get(channel)
        if mailbox is None:
            logger.debug("A reply to %s came after its connection had ended.", channel)
            self._on_unread(reply.content)
        else:
            mailbox.put(reply)

    async def _back_off(self, error: Exception) -> None:
        if not self._backoff:
            logger.error(
                "Reading replies failed, trying again until it works: %s: %s",
                type(error).__name__,
                error,
            )
        self._backoff = min(max(FIRST_BACKOFF, self._backoff * 2), LAST_BACKOFF)
        await asyncio.sleep(self._backoff)

    def _recovered(self) -> None:
        if self._backoff:
            self._backoff = 0.0
            logger.info("Reading replies works again.")
