"""A TCP proxy that breaks connections at the worst moment."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType


class TcpProxy:
    """Forwards connections to a port of the loopback interface, as a context manager.

    Once ``cut_reply_to`` is set, what contains it still reaches the server, but the connection
    breaks instead of bringing the reply. ``requests`` is everything the clients have sent.
    """

    def __init__(self, target_port: int) -> None:
        self.cut_reply_to: bytes | None = None
        self.requests = b""
        self.cuts = 0
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listener]
        self._threads: list[threading.Thread] = []

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> TcpProxy:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for connection in self._sockets:
            _close(connection)
        for thread in self._threads:
            thread.join()

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target_port))
                self._sockets += [client, server]
                is_cut = threading.Event()
                self._start(self._forward_requests, client, server, is_cut)
                self._start(self._forward_replies, client, server, is_cut)

    def _forward_requests(
        self, client: socket.socket, server: socket.socket, is_cut: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                self.requests += data
                if self.cut_reply_to is not None and self.cut_reply_to in data:
                    is_cut.set()
                server.sendall(data)
        _close(server)

    def _forward_replies(
        self, client: socket.socket, server: socket.socket, is_cut: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if is_cut.is_set():
                    self.cuts += 1
                    break
                client.sendall(data)
        _close(client)


def _close(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
