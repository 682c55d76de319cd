"""What all connections of one event loop share: the options, the layer, the reader, the end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from ..types import Content, Layer
from .events import ActionLogger
from .layer_io import LayerIO
from .replies import SOCKET_REPLIES, ReplyReader

logger = logging.getLogger("channels.interface")

#: Seconds that a shutdown takes at most: what process managers commonly grant before SIGKILL.
SHUTDOWN_PATIENCE = 10.0

#: Memberships are refreshed this often within their life, so that one failure costs none.
REFRESHES_PER_EXPIRY = 2


@dataclass(frozen=True)
class Options:
    """How the interface server behaves; times in seconds (0: no limit), sizes in bytes."""

    http_timeout: float
    websocket_handshake_timeout: float
    websocket_timeout: float
    ws_protocols: tuple[str, ...]
    max_body_size: int
    max_frame_size: int
    root_path: str | None
    action_logger: ActionLogger | None


class Connection(Protocol):
    """What a runtime ends on shutdown."""

    def shut_down(self) -> None:
        """End soon."""


class Runtime:
    """One event loop's share of the interface server."""

    def __init__(self, layer: Layer, options: Options) -> None:
        self.options = options
        self.io = LayerIO(layer)
        self.reader = ReplyReader(self.io, self._disown)
        self.closing = False
        self._connections: set[Connection] = set()
        self._idle = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._refresher: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read replies, and to keep memberships alive where that is needed."""
        if self.closing:
            return
        self.reader.start()
        if self._refresher is None and self._memberships_would_lapse():
            self._refresher = asyncio.create_task(self._refresh_memberships())

    @contextlib.contextmanager
    def connection(self, connection: Connection) -> Iterator[None]:
        """Count ``connection`` as live for as long as the context lasts."""
        self.start()
        self._connections.add(connection)
        try:
            yield
        finally:
            self._connections.discard(connection)
            if not self._connections:
                self._idle.set()

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run ``coroutine`` apart from its connection's task; a shutdown waits for it."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _disown(self, reply: Content) -> None:
        """Tell a worker whose client has left before the response began; it would go on until it
        missed the acknowledgements."""
        channel = reply.get("ack_channel")
        if isinstance(channel, str):
            self.io.post(channel, {"closed": True})

    def log_action(self, protocol: str, action: str, details: dict[str, Any]) -> None:
        """Tell the action logger, whose errors are logged and go no further."""
        if self.options.action_logger is None:
            return
        try:
            self.options.action_logger(protocol, action, details)
        except Exception:
            logger.exception("The action logger failed.")

    async def shut_down(self) -> None:
        """End all connections and deliver what the layer must know, in bounded time."""
        self.closing = True
        deadline = asyncio.get_running_loop().time() + SHUTDOWN_PATIENCE
        for connection in list(self._connections):
            connection.shut_down()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self._settle()
        if self._connections or self._tasks:
            logger.warning(
                "Shut down with %d connections open and %d last messages undelivered.",
                len(self._connections),
                len(self._tasks),
            )
        await self._stop_tasks()
        self.io.close()

    async def _settle(self) -> None:
        """Wait for the connections to end, and then for the messages about that."""
        while self._connections:
            self._idle.clear()
            await self._idle.wait()
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self.io.settle()

    async def _stop_tasks(self) -> None:
        await self.reader.stop()
        if self._refresher is not None:
            self._tasks.add(self._refresher)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _memberships_would_lapse(self) -> bool:
        lifetime = self.options.websocket_timeout
        return (not lifetime or lifetime > self.io.group_expiry) and self.io.can_refresh_groups

    async def _refresh_memberships(self) -> None:
        while True:
            await asyncio.sleep(self.io.group_expiry / REFRESHES_PER_EXPIRY)
            channels = self.reader.open_channels(SOCKET_REPLIES)
            try:
                await self.io.refresh_groups(channels)
            except Exception as error:
                logger.error(
                    "Keeping the group memberships of %d sockets alive failed: %s: %s",
                    len(channels),
                    type(error).__name__,
                    error,
                )
