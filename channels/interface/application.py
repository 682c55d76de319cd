"""The interface server as an ASGI 3 application: the entrance of every connection."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from .. import conf
from ..types import Layer
from . import lifespan
from .events import ActionLogger, Application, Receive, Scope, Send
from .http import HttpExchange
from .runtime import Options, Runtime
from .websocket import Socket


class InterfaceApplication:
    """Turns the events of an ASGI server into messages, and replies into events.

    Arguments (times in seconds, 0 for no limit; sizes in bytes):

    ``channel_layer``
        The channel layer itself, without routing.
    ``http``
        An ASGI application that takes the plain HTTP requests instead of the channel layer.
    ``http_timeout``
        Time for the first reply to a request; it begins anew with each part of a long body.
    ``websocket_handshake_timeout``
        Time for the reply to ``websocket.connect``.
    ``websocket_timeout``
        Age at which a socket is closed; ``None`` for the layer's ``group_expiry``.
    ``ws_protocols``
        Subprotocols to choose when the worker names none, the preferred one first; ``None``
        for the setting ``CHANNELS_WS_PROTOCOLS``.
    ``max_body_size``, ``max_frame_size``
        Largest body of a request, and largest frame that a client may send.
    ``root_path``
        The ``root_path`` of all messages; ``None`` for what the ASGI server says.
    ``action_logger``
        ``action_logger(protocol, action, details)``, called on ``http`` ``complete`` and on
        ``websocket`` ``connecting``, ``connected``, ``rejected`` and ``disconnected``.
    """

    def __init__(
        self,
        channel_layer: Layer,
        http: Application | None = None,
        http_timeout: float | None = 60,
        websocket_handshake_timeout: float | None = 5,
        websocket_timeout: float | None = None,
        ws_protocols: Sequence[str] | None = None,
        max_body_size: int = conf.MAX_BODY_SIZE,
        max_frame_size: int = conf.MAX_FRAME_SIZE,
        root_path: str | None = None,
        action_logger: ActionLogger | None = None,
    ) -> None:
        self.channel_layer = channel_layer
        self.http = http
        if websocket_timeout is None:
            websocket_timeout = float(getattr(channel_layer, "group_expiry", 0))
        self.options = Options(
            http_timeout=http_timeout or 0,
            websocket_handshake_timeout=websocket_handshake_timeout or 0,
            websocket_timeout=websocket_timeout,
            ws_protocols=tuple(conf.ws_protocols() if ws_protocols is None else ws_protocols),
            max_body_size=max_body_size,
            max_frame_size=max_frame_size,
            root_path=root_path,
            action_logger=action_logger,
        )
        self._lock = threading.Lock()
        self._runtimes: WeakKeyDictionary[asyncio.AbstractEventLoop, Runtime]
        self._runtimes = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"<InterfaceApplication {self.channel_layer!r}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or the lifespan; raises ``ValueError`` for anything else."""
        kind = scope["type"]
        if kind == "http" and self.http is not None:
            await self.http(scope, receive, send)
        elif kind == "http":
            await HttpExchange(self._runtime(), scope, receive, send).run()
        elif kind == "websocket":
            await Socket(self._runtime(), scope, receive, send).run()
        elif kind == "lifespan":
            runtime = self._runtime(renew=True)
            await lifespan.run(receive, send, runtime.start, runtime.shut_down)
        else:
            raise ValueError(
                f"The interface server takes the scope types http, websocket and lifespan, not "
                f"{kind!r}."
            )

    def _runtime(self, renew: bool = False) -> Runtime:
        """The runtime of the running event loop; ``renew`` replaces one that was shut down."""
        loop = asyncio.get_running_loop()
        with self._lock:
            runtime = self._runtimes.get(loop)
            if runtime is None or (renew and runtime.closing):
                self._forget_closed_loops()
                runtime = self._runtimes[loop] = Runtime(self.channel_layer, self.options)
            return runtime

    def _forget_closed_loops(self) -> None:
        """A runtime refers to its loop, so that its entry would not go away by itself."""
        for loop in [loop for loop in self._runtimes if loop.is_closed()]:
            self._runtimes.pop(loop).io.close()
