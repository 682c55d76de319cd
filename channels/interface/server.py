"""The interface server with uvicorn under it: what ``runserver`` and the live tests run."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .. import conf
from ..types import Layer
from .application import InterfaceApplication
from .events import ActionLogger

if TYPE_CHECKING:
    import uvicorn

#: Seconds that requests under way get when the server stops; then their connections are cut.
GRACEFUL_SECONDS = 5

#: Bytes that uvicorn lets a frame have beyond our limit, so that it is we who judge it.
FRAME_MARGIN = 1

#: The C library takes a larger number for another port, without a word.
MAX_PORT = 2**16 - 1

MISSING = (
    "channels.interface.server.Server needs uvicorn, which is not installed: "
    "pip install 'channels[server]', or run the project's asgi.py with another ASGI server."
)


def tcp_endpoint(host: str, port: int) -> str:
    """The endpoint for a TCP port: ``tcp:port=8000:interface=127.0.0.1``.

    ``host`` is a name or an address (IPv6 with or without brackets); empty for all of IPv4.
    """
    interface = host.removeprefix("[").removesuffix("]").replace(":", "\\:")
    return f"tcp:port={port}:interface={interface}"


def unix_endpoint(path: str) -> str:
    """The endpoint for a Unix socket: ``unix:/run/site.sock``."""
    return "unix:" + path.replace("\\", "\\\\").replace(":", "\\:")


class Server:
    """Serves the interface server's application on ``endpoints`` until it is stopped.

    Arguments, all as keywords (times in seconds, 0 for no limit); others are ignored:

    ``channel_layer``
        The channel layer, or a wrapper that has it as ``channel_layer``.
    ``endpoints``
        A list of strings as ``tcp_endpoint`` and ``unix_endpoint`` make them.
    ``signal_handlers``
        Whether SIGINT and SIGTERM stop the server; only possible in the main thread.
    ``action_logger``, ``http_timeout``, ``ws_protocols``, ``root_path``,
    ``websocket_handshake_timeout``, ``max_frame_size``
        As in ``InterfaceApplication``.
    ``application``
        The ASGI application, instead of one that these arguments describe.
    ``on_ready``
        Called with the server when it accepts connections; ``addresses`` is set by then.

    Raises ``ValueError`` for an endpoint that it does not understand.
    """

    def __init__(
        self,
        *,
        channel_layer: Layer,
        endpoints: Sequence[str] = ("tcp:port=8000:interface=127.0.0.1",),
        signal_handlers: bool = True,
        action_logger: ActionLogger | None = None,
        http_timeout: float | None = 60,
        ws_protocols: Sequence[str] | None = None,
        root_path: str = "",
        websocket_handshake_timeout: float | None = 5,
        max_frame_size: int = conf.MAX_FRAME_SIZE,
        application: Any = None,
        on_ready: Callable[[Server], object] | None = None,
        **others: Any,
    ) -> None:
        self.application = application or InterfaceApplication(
            getattr(channel_layer, "channel_layer", channel_layer),
            http_timeout=http_timeout,
            websocket_handshake_timeout=websocket_handshake_timeout,
            ws_protocols=ws_protocols,
            max_frame_size=max_frame_size,
            root_path=root_path or None,
            action_logger=action_logger,
        )
        self.ready = threading.Event()
        self.addresses: list[Any] = []
        self._openers = [_opener(endpoint) for endpoint in endpoints]
        self._signal_handlers = signal_handlers
        self._max_frame_size = max_frame_size
        self._on_ready = on_ready
        self._server: uvicorn.Server | None = None
        self._stopped = False

    def __repr__(self) -> str:
        return f"<Server addresses={self.addresses} ready={self.ready.is_set()}>"

    @property
    def port(self) -> int:
        """The port of the first endpoint, known once the server is ready."""
        port: int = self.addresses[0][1]
        return port

    def run(self) -> None:
        """Serve until ``stop`` or a signal, then shut down in bounded time.

        Raises ``OSError`` when an endpoint cannot be bound, ``ImportError`` without uvicorn,
        and in the main thread ``KeyboardInterrupt`` after SIGINT.
        """
        server = self._make_server()
        sockets: list[socket.socket] = []
        try:
            for open_socket in self._openers:
                sockets.append(open_socket())
            self.addresses = [listener.getsockname() for listener in sockets]
            self._server = server
            server.should_exit = self._stopped
            server.run(sockets=sockets)
        finally:
            for listener in sockets:
                listener.close()
            self.ready.clear()

    def stop(self) -> None:
        """Ask for the end, from any thread; ``run`` returns soon after."""
        self._stopped = True
        if self._server is not None:
            self._server.should_exit = True

    def _make_server(self) -> uvicorn.Server:
        try:
            import uvicorn
        except ImportError as error:
            raise ImportError(MISSING) from error
        config = uvicorn.Config(
            self.application,
            lifespan="on",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws_max_size=self._max_frame_size + FRAME_MARGIN,
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
        )
        announce, keep_signals = self._announce, self._signal_handlers

        class AnnouncingServer(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                announce()

            @contextlib.contextmanager
            def capture_signals(self) -> Iterator[None]:
                with super().capture_signals() if keep_signals else contextlib.nullcontext():
                    yield

        return AnnouncingServer(config)

    def _announce(self) -> None:
        self.ready.set()
        if self._on_ready is not None:
            self._on_ready(self)


def _opener(endpoint: str) -> Callable[[], socket.socket]:
    """What binds and returns the socket that ``endpoint`` describes."""
    kind, *parts = (_unescape(part) for part in re.split(r"(?<!\\):", endpoint))
    options = dict(part.split("=", 1) for part in parts if "=" in part)
    plain = [part for part in parts if "=" not in part]
    if kind == "tcp" and (port := options.get("port") or next(iter(plain), "")).isdigit():
        return lambda: _listen_tcp(options.get("interface", ""), int(port))
    if kind == "unix" and (path := options.get("address") or next(iter(plain), "")):
        return lambda: _listen_unix(path)
    raise ValueError(
        f"{endpoint!r} is not an endpoint that can be served: write 'tcp:port=8000:interface="
        "127.0.0.1' (':' within an address as '\\:') or 'unix:/path'. For TLS, put a proxy in "
        "front or run the project's asgi.py with an ASGI server that has certificates."
    )


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _listen_tcp(interface: str, port: int) -> socket.socket:
    if port > MAX_PORT:
        raise OSError(f"a port is a number from 0 to {MAX_PORT}, not {port}")
    host = interface or "0.0.0.0"
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(address[:2], family=family)


def _listen_unix(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
    except OSError:
        listener.close()
        raise
    return listener
