"""The body of one HTTP request, on its way to the worker that reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from ..types import Content
from .events import Event, Receive
from .feed import Backoff, Feed
from .layer_io import LayerIO
from .outbox import Outcome

#: Bytes of a body per message: far below the 1 MiB that any layer takes, and few round trips.
PIECE_SIZE = 256 * 1024

#: Seconds that the end of an abandoned body waits for room: the reader may be far behind.
CLOSE_PATIENCE = 10.0


@dataclass(frozen=True)
class Failure:
    """Why an exchange ended early: the status for the client, the reason for the log."""

    status: int
    reason: str


GONE = Failure(499, "the client left")
TOO_LARGE = Failure(413, "its body is larger than max_body_size")
REFUSED = {
    Outcome.FULL: Failure(503, "the channel http.request is full"),
    Outcome.TOO_LARGE: Failure(413, "the channel layer takes no message of this size"),
    Outcome.FAILED: Failure(503, "the channel layer failed"),
    Outcome.UNKNOWN: Failure(503, "the channel layer failed"),
}


class Upload:
    """Puts a request and its body on the layer, no faster than the worker reads.

    At most one event of the ASGI server is read ahead, which also shows when the client leaves.
    ``on_progress`` is called for every part that a worker can read.
    """

    def __init__(
        self,
        io: LayerIO,
        feed: Feed,
        receive: Receive,
        max_size: int,
        on_progress: Callable[[], None],
    ) -> None:
        self._io = io
        self._feed = feed
        self._receive = receive
        self._max_size = max_size
        self._on_progress = on_progress
        self._size = 0
        self._rest = b""
        self._more = True
        self._channel: str | None = None
        self._finished = False

    async def run(self, request: Content) -> Failure | None:
        """Put ``request`` and its body on the layer, then wait until the client leaves.

        Returns what ends the exchange, or ``None`` when nothing more can be heard.
        """
        failure = self._take(await self._receive()) or await self._put_request(request)
        while failure is None:
            ahead = asyncio.ensure_future(self._receive())
            try:
                failure = await self._put_rest(ahead)
                if failure is None:
                    event = await ahead
                    if self._finished and event["type"] != "http.disconnect":
                        return None
                    failure = self._take(event)
            finally:
                ahead.cancel()
        return failure

    async def close(self) -> None:
        """Tell the reader of a body that is not complete to abandon it."""
        if self._channel is None or self._finished:
            return
        backoff = Backoff(CLOSE_PATIENCE)
        while await self._io.put(self._channel, {"closed": True}) is Outcome.FULL:
            if backoff.exhausted:
                return
            await backoff.wait()

    def _take(self, event: Event) -> Failure | None:
        if event["type"] == "http.disconnect":
            return GONE
        self._rest = event.get("body") or b""
        self._more = event.get("more_body") or False
        self._size += len(self._rest)
        return TOO_LARGE if self._size > self._max_size else None

    async def _put_request(self, request: Content) -> Failure | None:
        request["body"] = self._next_piece()
        if self._rest or self._more:
            self._channel = await self._io.new_channel("http.request.body?")
            if self._channel is None:
                return REFUSED[Outcome.FAILED]
            request["body_channel"] = self._channel
        else:
            self._finished = True
        outcome = await self._feed.put("http.request", request)
        self._on_progress()
        return REFUSED.get(outcome)

    async def _put_rest(self, ahead: asyncio.Future[Event]) -> Failure | None:
        while not self._finished and (self._rest or not self._more):
            piece = self._next_piece()
            more = bool(self._rest) or self._more
            failure = await self._put_piece({"content": piece, "more_content": more}, ahead)
            if failure is not None:
                return failure
            self._finished = not more
            self._on_progress()
        return None

    async def _put_piece(self, message: Content, ahead: asyncio.Future[Event]) -> Failure | None:
        assert self._channel is not None
        backoff = Backoff(None)
        while True:
            outcome = await self._feed.put(self._channel, message)
            if outcome is not Outcome.FULL:
                return REFUSED.get(outcome)
            if ahead.done():
                await backoff.wait()
            else:
                await asyncio.wait({ahead}, timeout=backoff.next_pause())
            if ahead.done() and (ahead.exception() or ahead.result()["type"] == "http.disconnect"):
                return GONE

    def _next_piece(self) -> bytes:
        piece, self._rest = self._rest[:PIECE_SIZE], self._rest[PIECE_SIZE:]
        return bytes(piece)
