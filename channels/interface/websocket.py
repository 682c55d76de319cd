"""One WebSocket: from ASGI events to messages, and from replies to frames.

Beyond Channels 1.x, ``websocket.disconnect`` has a ``reason`` when the client gave one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

from ..types import Content
from . import origin
from . import socket_state as ends
from .events import Event, Receive, Scope, Send
from .feed import Backoff, Feed
from .mailbox import Mailbox
from .outbox import Outcome
from .refusal import refuse
from .replies import SOCKET_REPLIES
from .reply_format import MalformedReply, SocketReply
from .runtime import Runtime
from .scopes import BadRequest, client_of, content_of
from .socket_state import Ending, State, departure, transition

logger = logging.getLogger("channels.interface")

#: Replies, and their bytes, that wait for a slow client before its socket is closed with 1013.
MAILBOX_MESSAGES = 1000
MAILBOX_BYTES = 16 * 1024 * 1024

#: Frames of a client that wait for the layer, or for the handshake to be accepted. Beyond
#: that the ASGI server gets no more of them, and stops to read from the client in turn.
FRAMES_AHEAD = 8

#: Seconds that a frame waits for room on websocket.receive before the socket is closed.
RECEIVE_PATIENCE = 1.0

#: Seconds that websocket.disconnect waits for room: as long as messages commonly live.
DISCONNECT_PATIENCE = 60.0

#: Seconds for a slow client to take what was written before it, and the close frame.
CLOSE_PATIENCE = 5.0

#: Seconds that the ASGI server has to say how a client left to which it cannot write any more.
FAREWELL_PATIENCE = 5.0


class Unwritable(Exception):
    """The ASGI server takes no more events: the client is gone, or about to be."""


class Socket:
    """One WebSocket, from its handshake to the delivery of its ``websocket.disconnect``."""

    def __init__(self, runtime: Runtime, scope: Scope, receive: Receive, send: Send) -> None:
        self.state = State.CONNECTING
        self._runtime = runtime
        self._options = runtime.options
        self._scope = scope
        self._receive = receive
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._feed = Feed(runtime.io)
        self._mailbox: Mailbox = runtime.reader.open(
            SOCKET_REPLIES, MAILBOX_MESSAGES, MAILBOX_BYTES, lambda: self._end(ends.OVERFLOW)
        )
        self._frames: asyncio.Queue[Event] = asyncio.Queue(FRAMES_AHEAD)
        self._opened = asyncio.Event()
        self._ending: asyncio.Future[Ending] = self._loop.create_future()
        self._timers: list[asyncio.TimerHandle] = []
        self._handshake_timer: asyncio.TimerHandle | None = None
        self._last_words: Content = {"code": ends.ABNORMAL}

    def __repr__(self) -> str:
        path = self._scope["path"]
        return f"<Socket {path!r} {self.state.value} delivered={self._feed.delivered}>"

    async def run(self) -> None:
        """Take the socket to its end; when cancelled, the workers still learn of it."""
        try:
            with self._runtime.connection(self):
                if (await self._receive())["type"] == "websocket.connect":
                    self._log_action("connecting")
                    await self._finish(await self._live())
        finally:
            self.state = transition(self.state, State.CLOSED)
            self._runtime.reader.close(self._mailbox)
            for timer in self._timers:
                timer.cancel()
            goodbye = self._runtime.spawn(self._say_goodbye())
            goodbye.add_done_callback(lambda _: self._feed.end())
        await asyncio.shield(goodbye)

    def shut_down(self) -> None:
        """Close soon, because the server ends."""
        self._end(ends.SHUTDOWN)

    async def _live(self) -> Ending:
        if self._runtime.closing:
            return ends.SHUTDOWN
        if why := origin.refusal(self._scope):
            return Ending(why=why)
        try:
            message = self._connect_message()
        except BadRequest as error:
            return Ending(status=400, why=str(error))
        outcome = await self._feed.put("websocket.connect", message)
        if outcome is not Outcome.SENT:
            return CONNECT_ENDINGS[outcome]
        self._handshake_timer = self._end_after(
            self._options.websocket_handshake_timeout, ends.HANDSHAKE_TIMEOUT
        )
        self._end_after(self._options.websocket_timeout, ends.TOO_OLD)
        return await self._converse()

    def _connect_message(self) -> Content:
        return {
            **content_of(self._scope, self._options.root_path),
            "reply_channel": self._mailbox.name,
            "scheme": self._scope.get("scheme") or "ws",
            "subprotocols": list(self._scope.get("subprotocols") or []),
            "order": 0,
        }

    async def _converse(self) -> Ending:
        """Run both directions until something ends the socket."""
        directions = (self._listen(), self._forward(), self._obey())
        tasks = [asyncio.create_task(self._guard(work)) for work in directions]
        try:
            await asyncio.wait({self._ending})
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        return self._ending.result()

    async def _guard(self, work: Awaitable[Ending | None]) -> None:
        try:
            ending = await work
        except MalformedReply as error:
            ending = Ending(ends.INTERNAL_ERROR, status=500, why=f"malformed reply: {error}")
        except (Unwritable, OSError):
            self._end_after(FAREWELL_PATIENCE, ends.VANISHED)
            ending = None
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            ending = Ending(ends.INTERNAL_ERROR, status=500, why=why)
        if ending is not None:
            self._end(ending)

    def _end(self, ending: Ending) -> None:
        if not self._ending.done():
            self._ending.set_result(ending)

    def _end_after(self, seconds: float, ending: Ending) -> asyncio.TimerHandle | None:
        if not seconds:
            return None
        timer = self._loop.call_later(seconds, self._end, ending)
        self._timers.append(timer)
        return timer

    # From the client to the workers.

    async def _listen(self) -> Ending | None:
        """Take the client's events as they come, as far as there is room for them."""
        while True:
            event = await self._receive()
            left = event["type"] == "websocket.disconnect"
            if left and self.state is State.CONNECTING:
                return departure(event)
            await self._frames.put(event)
            if left:
                return None

    async def _forward(self) -> Ending | None:
        """Put the client's frames on the layer, from the moment the handshake is accepted."""
        await self._opened.wait()
        ending = None
        while ending is None:
            event = await self._frames.get()
            left = event["type"] == "websocket.disconnect"
            ending = departure(event) if left else await self._forward_frame(event)
        return ending

    async def _forward_frame(self, event: Event) -> Ending | None:
        text = event.get("text")
        payload = {"bytes": event.get("bytes") or b""} if text is None else {"text": text}
        if _is_longer(next(iter(payload.values())), self._options.max_frame_size):
            return ends.FRAME_TOO_BIG
        message = self._message(payload)
        backoff = Backoff(RECEIVE_PATIENCE)
        while True:
            outcome = await self._feed.put("websocket.receive", message)
            if outcome is not Outcome.FULL or backoff.exhausted:
                return RECEIVE_ENDINGS.get(outcome)
            await backoff.wait()

    def _message(self, payload: Content) -> Content:
        """A message about this socket; its order is the number of those delivered before it."""
        return {
            "reply_channel": self._mailbox.name,
            "path": self._scope["path"],
            **payload,
            "order": self._feed.delivered,
        }

    async def _say_goodbye(self) -> None:
        """Deliver the one ``websocket.disconnect``, if the workers know of this socket."""
        await self._feed.settle()
        if not self._feed.delivered:
            return
        message = self._message(self._last_words)
        backoff = Backoff(DISCONNECT_PATIENCE)
        while not (await self._feed.put("websocket.disconnect", message)).may_have_arrived:
            if backoff.exhausted:
                logger.error(
                    "WebSocket %s: websocket.disconnect could not be delivered, its consumers "
                    "do not run for %s.",
                    self._scope["path"],
                    self._mailbox.name,
                )
                return
            await backoff.wait()

    # From the workers to the client.

    async def _obey(self) -> Ending:
        """Do what replies say, until one closes the socket."""
        while True:
            reply = (await self._mailbox.get()).for_socket
            for note in reply.notes:
                self._log_ignored(note)
            if self.state is State.CONNECTING:
                if _refuses(reply):
                    return Ending()
                if not (reply.accept or reply.data):
                    continue
                await self._accept(reply.subprotocol)
            elif reply.accept is False:
                self._log_ignored("'accept': False, as the socket is open")
            if reply.data is not None:
                await self._send_data(reply.data)
            if reply.close is not None:
                return Ending(reply.close, reply.reason)

    async def _accept(self, asked: str | None) -> None:
        if self._handshake_timer is not None:
            self._handshake_timer.cancel()
        self.state = transition(self.state, State.OPEN)
        subprotocol = self._subprotocol(asked)
        try:
            await self._write({"type": "websocket.accept", "subprotocol": subprotocol})
        finally:
            self._opened.set()
        self._log_action("connected")

    def _subprotocol(self, asked: str | None) -> str | None:
        offered = self._scope.get("subprotocols") or []
        if asked is not None and asked not in offered:
            self._log_ignored(f"the subprotocol {asked!r}, which the client does not offer")
            return None
        wanted = [asked] if asked is not None else self._options.ws_protocols
        return next((protocol for protocol in wanted if protocol in offered), None)

    async def _send_data(self, data: str | bytes) -> None:
        key = "text" if isinstance(data, str) else "bytes"
        await self._write({"type": "websocket.send", key: data})

    async def _finish(self, ending: Ending) -> None:
        """Tell the client, if it is still there, and keep what the workers are to be told."""
        was_open = self.state is State.OPEN
        self.state = transition(self.state, State.CLOSING)
        refused = not was_open and not ending.by_client
        self._log_ending(ending, refused)
        if ending.by_client:
            reason = {"reason": ending.reason} if ending.reason else {}
            self._last_words = {"code": ending.code, **reason}
        elif was_open:
            self._last_words = {"code": ending.code}
        if not ending.by_client:
            await self._dismiss(ending, refused)
        self._log_action("rejected" if refused else "disconnected")

    async def _dismiss(self, ending: Ending, refused: bool) -> None:
        close = {"type": "websocket.close", "code": ending.code, "reason": ending.reason}
        try:
            async with asyncio.timeout(CLOSE_PATIENCE):
                await (
                    refuse(self._scope, self._send, ending.status)
                    if refused
                    else self._write(close)
                )
        except Exception as error:
            logger.debug("WebSocket %s: closed without its client: %r", self._scope["path"], error)

    async def _write(self, event: Event) -> None:
        try:
            await self._send(event)
        except Exception as error:
            logger.debug("WebSocket %s: cannot send: %r", self._scope["path"], error)
            raise Unwritable from error

    def _log_ending(self, ending: Ending, refused: bool) -> None:
        if ending.why:
            logger.log(
                logging.ERROR if ending.code == ends.INTERNAL_ERROR else logging.WARNING,
                "WebSocket %s from %s: %s, %s",
                self._scope["path"],
                client_of(self._scope),
                "refused" if refused else f"closed with {ending.code}",
                ending.why,
            )

    def _log_ignored(self, what: str) -> None:
        logger.warning("WebSocket %s: ignored in a reply: %s.", self._scope["path"], what)

    def _log_action(self, action: str) -> None:
        details: dict[str, Any] = {"path": self._scope["path"], "client": client_of(self._scope)}
        self._runtime.log_action("websocket", action, details)


CONNECT_ENDINGS = {
    Outcome.FULL: ends.CONNECT_FULL,
    Outcome.TOO_LARGE: ends.LAYER_LIMIT,
    Outcome.FAILED: ends.LAYER_FAILED,
    Outcome.UNKNOWN: ends.LAYER_FAILED,
}
RECEIVE_ENDINGS = {
    Outcome.FULL: ends.RECEIVE_FULL,
    Outcome.TOO_LARGE: ends.LAYER_LIMIT,
    Outcome.FAILED: ends.LAYER_FAILED,
    Outcome.UNKNOWN: ends.LAYER_FAILED,
}


def _refuses(reply: SocketReply) -> bool:
    """Whether a reply during the handshake refuses it: by name, or by closing it only."""
    closes_only = reply.close is not None and reply.data is None and not reply.accept
    return reply.accept is False or closes_only


def _is_longer(payload: str | bytes, limit: int) -> bool:
    """Whether ``payload`` has more than ``limit`` bytes on the wire (up to 4 per character)."""
    if isinstance(payload, bytes) or len(payload) > limit or len(payload) * 4 <= limit:
        return len(payload) > limit
    return len(payload.encode()) > limit
