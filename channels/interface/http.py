"""One HTTP request: from ASGI events to messages, and from replies to the response.

Beyond the messages of Channels 1.x, a response in several messages is flow-controlled. The
request has ``acknowledges: True``; the first reply may name an ``ack_channel``, to which
``{"acknowledged": <reply messages written so far>}`` goes after every ``ACK_EVERY`` of them,
and ``{"closed": True}``, once, when nobody takes the rest. A reply ``{"aborted": True}`` says
that the rest will not come: the connection is cut, so that the client sees an incomplete
response, or the request gets 500 if nothing was sent yet.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

from ..types import Content
from .events import Receive, Scope, Send
from .feed import Feed
from .mailbox import Mailbox
from .refusal import respond
from .replies import HTTP_REPLIES
from .reply_format import (
    BODILESS,
    Header,
    MalformedReply,
    ResponsePart,
    ResponseStart,
    response_part,
    response_start,
)
from .runtime import Runtime
from .scopes import BadRequest, client_of, content_of
from .upload import GONE, Failure, Upload

logger = logging.getLogger("channels.interface")

#: Bytes of replies that wait for a slow client before its connection is cut: more than the
#: flow control of a streamed response leaves under way, and a bound for producers without it.
MAILBOX_BYTES = 64 * 1024 * 1024

#: Replies that wait; the bytes are the limit that matters, this one is for empty chunks.
MAILBOX_MESSAGES = 100_000

#: Reply messages between two acknowledgements: a quarter of the window that our own workers
#: leave open, so that they never stand still while the client reads.
ACK_EVERY = 4

#: Seconds that requests without an answer have when the server shuts down: half of its time.
SHUTDOWN_GRACE = 5.0


class HttpExchange:
    """One request and its response."""

    def __init__(self, runtime: Runtime, scope: Scope, receive: Receive, send: Send) -> None:
        self._runtime = runtime
        self._scope = scope
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._failure: asyncio.Future[Failure] = self._loop.create_future()
        self._feed = Feed(runtime.io)
        self._upload = Upload(
            runtime.io,
            self._feed,
            receive,
            runtime.options.max_body_size,
            self._restart_clock,
        )
        self._deadline: float | None = None
        self._status: int | None = None
        self._size = 0
        self._written = 0
        self._complete = False
        self._ack_channel: str | None = None

    def __repr__(self) -> str:
        name = f"{self._scope['method']} {self._scope['path']!r}"
        return f"<HttpExchange {name} status={self._status} complete={self._complete}>"

    async def run(self) -> None:
        """Take the request to its end; returns without completing a response that is cut."""
        try:
            request = self._request()
        except BadRequest as error:
            await self._fail(Failure(400, str(error)))
        else:
            if self._runtime.closing:
                await self._fail(Failure(503, "the server shuts down"))
            else:
                await self._exchange(request)
        self._log_completion()

    def shut_down(self) -> None:
        """End soon, unless an answer begins; a response that is under way may go on."""
        self._loop.call_later(SHUTDOWN_GRACE, self._give_up_waiting)

    def _give_up_waiting(self) -> None:
        if self._status is None:
            self._end(Failure(503, "the server shuts down"))

    def _request(self) -> Content:
        return {
            **content_of(self._scope, self._runtime.options.root_path),
            "method": self._scope["method"].upper(),
            "scheme": self._scope.get("scheme") or "http",
            "acknowledges": True,
        }

    async def _exchange(self, request: Content) -> None:
        reader = self._runtime.reader
        overflow = Failure(500, f"more than {MAILBOX_BYTES} bytes of its response wait for it")
        mailbox = reader.open(
            HTTP_REPLIES, MAILBOX_MESSAGES, MAILBOX_BYTES, lambda: self._end(overflow)
        )
        request["reply_channel"] = mailbox.name
        self._restart_clock()
        upload = asyncio.create_task(self._guard(self._upload.run(request)))
        answer = asyncio.create_task(self._guard(self._relay(mailbox)))
        try:
            with self._runtime.connection(self):
                await self._until_over(answer)
        finally:
            upload.cancel()
            answer.cancel()
            reader.close(mailbox)
            self._runtime.spawn(self._tell_workers(mailbox.name))
        if not self._complete:
            await asyncio.wait({answer})
            await self._fail(self._failure.result())

    async def _until_over(self, answer: asyncio.Task[None]) -> None:
        enders: set[asyncio.Future[Any]] = {answer, self._failure}
        while not self._failure.done() and not self._complete:
            await asyncio.wait(
                enders, timeout=self._time_left(), return_when=asyncio.FIRST_COMPLETED
            )
            if self._time_left() == 0:
                self._end(Failure(503, "no worker answered within http_timeout"))

    def _restart_clock(self) -> None:
        """The time for an answer begins: with the request, and again with every part of it."""
        timeout = self._runtime.options.http_timeout
        self._deadline = self._loop.time() + timeout if timeout else None

    def _time_left(self) -> float | None:
        if self._deadline is None or self._status is not None:
            return None
        return max(0.0, self._deadline - self._loop.time())

    def _end(self, failure: Failure) -> None:
        if not self._failure.done() and not self._complete:
            self._failure.set_result(failure)

    async def _guard(self, work: Awaitable[Failure | None]) -> None:
        """Run one direction of the exchange; whatever goes wrong in it ends the exchange."""
        try:
            failure = await work
        except MalformedReply as error:
            failure = Failure(500, f"malformed reply: {error}")
        except OSError:
            failure = GONE
        except Exception as error:
            failure = Failure(500, f"{type(error).__name__}: {error}")
        if failure is not None:
            self._end(failure)

    async def _relay(self, mailbox: Mailbox) -> Failure | None:
        """Write replies as they come; returns when the response is complete or given up."""
        more = True
        while more:
            message = (await mailbox.get()).content
            if message.get("aborted"):
                return Failure(500, "the worker failed while it produced the response")
            first = self._status is None
            if first:
                self._note_ack_channel(message)
            start = response_start(message) if first else None
            part = response_part(message, first)
            if start is not None:
                await self._write_start(start, part)
            more = part.more
            await self._send(
                {"type": "http.response.body", "body": part.content, "more_body": more}
            )
            self._size += len(part.content)
            self._written += 1
            if more:
                await self._acknowledge()
        self._complete = True
        return None

    def _note_ack_channel(self, message: Content) -> None:
        channel = message.get("ack_channel")
        if channel is not None and not isinstance(channel, str):
            raise MalformedReply(f"'ack_channel' must be text, not {channel!r}")
        self._ack_channel = channel

    async def _write_start(self, start: ResponseStart, part: ResponsePart) -> None:
        self._status = start.status
        headers = start.headers + self._length_headers(start, part)
        await self._send(
            {"type": "http.response.start", "status": start.status, "headers": headers}
        )

    def _length_headers(self, start: ResponseStart, part: ResponsePart) -> list[Header]:
        """The length of a response that came whole, so that the server need not chunk it."""
        given = {name for name, _ in start.headers}
        bodiless = start.status in BODILESS or self._scope["method"] == "HEAD"
        if part.more or bodiless or given & {b"content-length", b"transfer-encoding"}:
            return []
        return [(b"content-length", str(len(part.content)).encode())]

    async def _acknowledge(self) -> None:
        if self._ack_channel and self._written % ACK_EVERY == 0:
            await self._runtime.io.put(self._ack_channel, {"acknowledged": self._written})

    async def _fail(self, failure: Failure) -> None:
        """Answer with the failure's status, or leave the response incomplete."""
        if failure is GONE:
            return
        begun = self._status is not None
        logger.log(
            logging.ERROR if failure.status == 500 else logging.WARNING,
            "%s %s from %s: %s, %s",
            self._scope["method"],
            self._scope["path"],
            client_of(self._scope),
            "response cut" if begun else failure.status,
            failure.reason,
        )
        if not begun:
            await self._respond(failure.status)

    async def _respond(self, status: int) -> None:
        self._status = status
        try:
            self._size = await respond(self._send, status)
        except OSError:
            logger.debug("The client left before it got its %d.", status)

    async def _tell_workers(self, reply_channel: str) -> None:
        """Say that the exchange is over, to whoever might still work on it."""
        await self._feed.settle()
        self._feed.end()
        if not self._feed.delivered:
            return
        io = self._runtime.io
        io.post_along(
            "http.disconnect", {"reply_channel": reply_channel, "path": self._scope["path"]}
        )
        if self._complete:
            return
        if self._ack_channel:
            await io.put(self._ack_channel, {"closed": True})
        await self._upload.close()

    def _log_completion(self) -> None:
        if self._status is None:
            return
        details = {
            "path": self._scope["path"],
            "status": self._status,
            "method": self._scope["method"],
            "client": client_of(self._scope),
            "time_taken": self._loop.time() - self._began,
            "size": self._size,
        }
        self._runtime.log_action("http", "complete", details)
