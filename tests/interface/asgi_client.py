"""An ASGI server in the small: drives the application, one connection at a time."""

from __future__ import annotations

import asyncio
from typing import Any

#: Seconds after which a test that waits for something has failed.
LIMIT = 20.0


class Connection:
    """One connection to ``application``: give it events, take what it sends."""

    def __init__(self, application: Any, scope: dict[str, Any]) -> None:
        self.scope = scope
        self.to_application: asyncio.Queue[Any] = asyncio.Queue()
        self.sent: asyncio.Queue[Any] = asyncio.Queue()
        self.writable = asyncio.Event()
        self.writable.set()
        self.send_error: Exception | None = None
        self.task = asyncio.create_task(application(scope, self._receive, self._send))

    async def _receive(self) -> Any:
        event = await self.to_application.get()
        if isinstance(event, Exception):
            raise event
        return event

    async def _send(self, event: Any) -> None:
        await self.writable.wait()
        if self.send_error is not None:
            raise self.send_error
        self.sent.put_nowait(event)

    def give(self, kind: str, **event: Any) -> None:
        self.to_application.put_nowait({"type": kind, **event})

    async def take(self) -> Any:
        async with asyncio.timeout(LIMIT):
            return await self.sent.get()

    async def ended(self) -> None:
        async with asyncio.timeout(LIMIT):
            await self.task

    def nothing_sent(self) -> bool:
        return self.sent.empty()


class Http(Connection):
    """One HTTP request."""

    def __init__(self, application: Any, body: bytes | None = b"", **scope: Any) -> None:
        super().__init__(application, {**HTTP_SCOPE, **scope})
        if body is not None:
            self.give("http.request", body=body, more_body=False)

    def leave(self) -> None:
        self.give("http.disconnect")

    async def response(self) -> tuple[int, dict[bytes, bytes], bytes]:
        """The whole response: status, headers, body."""
        start = await self.take()
        assert start["type"] == "http.response.start"
        body = b""
        while True:
            part = await self.take()
            assert part["type"] == "http.response.body"
            body += part["body"]
            if not part["more_body"]:
                return start["status"], dict(start["headers"]), body


class WebSocket(Connection):
    """One WebSocket, whose client has just asked for the handshake."""

    def __init__(self, application: Any, **scope: Any) -> None:
        super().__init__(application, {**SOCKET_SCOPE, **scope})
        self.give("websocket.connect")

    def text(self, text: str) -> None:
        self.give("websocket.receive", text=text)

    def leave(self, code: int = 1001, **event: Any) -> None:
        self.give("websocket.disconnect", code=code, **event)


HTTP_SCOPE: dict[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.3"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/",
    "raw_path": b"/",
    "query_string": b"",
    "root_path": "",
    "headers": [],
    "client": ("10.0.0.1", 4321),
    "server": ("10.0.0.2", 80),
}
SOCKET_SCOPE: dict[str, Any] = {
    **{key: value for key, value in HTTP_SCOPE.items() if key != "method"},
    "type": "websocket",
    "scheme": "ws",
    "subprotocols": [],
}


class Worker:
    """The other end of ``layer``: takes messages and replies to them."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    async def take(self, *channels: str) -> Any:
        """The next message on ``channels``, which must come."""
        async with asyncio.timeout(LIMIT):
            while True:
                _, message = await self.layer.receive_async(list(channels))
                if message is not None:
                    return message

    def reply(self, message: dict[str, Any], **content: Any) -> None:
        self.layer.send(message["reply_channel"], content)

    def waiting(self, channel: str) -> list[dict[str, Any]]:
        """Everything that waits on ``channel`` now."""
        found = []
        while (message := self.layer.receive([channel])[1]) is not None:
            found.append(message)
        return found
