"""A TCP proxy that breaks connections at the worst moment."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any

from .redis_server import find_free_port

#: Seconds after which an event that a test waits for counts as missing.
PATIENCE = 15.0

#: Bytes that are read at once.
CHUNK = 65536


class TcpProxy:
    """Forwards connections to a port of the loopback interface, as a context manager.

    Once ``cut_reply_to`` is set, what contains it still reaches the server, but the connection
    breaks instead of bringing the reply. With ``hang_reply_to`` it stays open instead, and brings
    nothing any more. ``reply_delay`` is the seconds by which each reply comes later. All three
    may change at any time, for what passes from then on.

    ``requests`` is everything the clients have sent. ``connections`` counts those that were made
    so far, ``open_connections`` those that are there now; ``replies`` counts the pieces that came
    from the server, ``cuts`` and ``hangs`` the connections that have lost a reply.
    """

    def __init__(self, target_port: int) -> None:
        self.port = find_free_port()
        self.target_port = target_port
        self.cut_reply_to: bytes | None = None
        self.hang_reply_to: bytes | None = None
        self.reply_delay = 0.0
        self.connections = self.replies = self.cuts = self.hangs = 0
        self._requests = bytearray()
        self._changed = threading.Condition()
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def requests(self) -> bytes:
        with self._changed:
            return bytes(self._requests)

    @property
    def open_connections(self) -> int:
        return len(self._serving)

    def __enter__(self) -> TcpProxy:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.accept_connections()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.refuse_connections()
        self.cut_all()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def accept_connections(self) -> None:
        """Take connections again, on the same port."""
        self._listener = self._run(asyncio.start_server(self._serve, "127.0.0.1", self.port))

    def refuse_connections(self) -> None:
        """Take no more connections; those that are open go on."""

        async def close() -> None:
            self._listener.close()

        self._run(close())

    def cut_all(self) -> None:
        """Break every connection that is open, whatever it waits for."""

        async def cut() -> None:
            serving = list(self._serving)
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)

        self._run(cut())

    def wait_for_request(self, part: bytes, times: int = 1) -> None:
        """Wait until ``part`` has been sent to the server, so many times since the beginning."""
        self.wait_until(lambda: self.requests.count(part) >= times, f"a request with {part!r}")

    def wait_until(self, holds: Callable[[], bool], what: str = "what should") -> None:
        """Wait until something holds that depends on the requests and the counters.

        ``TimeoutError``, which says ``what`` did not happen, after ``PATIENCE`` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(holds, PATIENCE):
                raise TimeoutError(
                    f"Within {PATIENCE} seconds {what} has not passed the proxy on port "
                    f"{self.port}; the last bytes were {bytes(self._requests[-200:])!r}."
                )

    def note(self, request: bytes = b"", **counts: int) -> None:
        """Add what a connection has seen, and wake those who wait for it."""
        with self._changed:
            self._requests += request
            for name, count in counts.items():
                setattr(self, name, getattr(self, name) + count)
            self._changed.notify_all()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._serving.add(task)
        self.note(connections=1)
        try:
            with suppress(OSError):
                await _Connection(self, reader, writer).forward()
        finally:
            await _abort(writer)
            self._serving.discard(task)
            self.note()


class _Connection:
    """One client's connection, and what is to become of the replies."""

    def __init__(
        self, proxy: TcpProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._client_reader, self._client_writer = reader, writer
        self._sent = bytearray()
        self._is_cut = self._hangs = False
        self._replies: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def forward(self) -> None:
        """Forward both ways, until either side ends the connection."""
        self._server_reader, self._server_writer = await asyncio.open_connection(
            "127.0.0.1", self._proxy.target_port
        )
        tasks = [
            asyncio.ensure_future(work)
            for work in (self._forward_requests(), self._read_replies(), self._write_replies())
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            # First of all, as what waits in here may be cancelled once more.
            self._server_writer.transport.abort()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await _abort(self._server_writer)

    async def _forward_requests(self) -> None:
        while data := await self._client_reader.read(CHUNK):
            self._sent += data
            # Before the write: the reply may come at once.
            self._is_cut = self._is_cut or self._brings(self._proxy.cut_reply_to, data)
            self._hangs = self._hangs or self._brings(self._proxy.hang_reply_to, data)
            self._server_writer.write(data)
            self._proxy.note(request=data)
            await self._server_writer.drain()
        self._server_writer.write_eof()

    def _brings(self, part: bytes | None, data: bytes) -> bool:
        """Whether ``data``, the end of what was sent, completes ``part``."""
        return part is not None and part in self._sent[-len(data) - len(part) + 1 :]

    async def _read_replies(self) -> None:
        """Give each reply the time at which it is due; an empty one is the end."""
        loop = asyncio.get_running_loop()
        while data := await self._server_reader.read(CHUNK):
            self._proxy.note(replies=1)
            if self._is_cut:
                self._proxy.note(cuts=1)
                break
            if self._hangs:
                self._proxy.note(hangs=1)
                await self._server_reader.read()
                break
            self._replies.put_nowait((loop.time() + self._proxy.reply_delay, data))
        self._replies.put_nowait((loop.time() + self._proxy.reply_delay, b""))

    async def _write_replies(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await self._replies.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                break
            self._client_writer.write(data)
            await self._client_writer.drain()
        # This ends the reading of requests as well.
        self._client_writer.close()
        await self._client_writer.wait_closed()


async def _abort(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()
