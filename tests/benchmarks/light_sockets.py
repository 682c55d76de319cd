"""WebSockets of a client that does next to nothing, so that what is measured is the server.

They wait in one epoll (Linux), mask their frames with zeros, and look only at the headers of
what they get.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator
from types import TracebackType

#: Seconds for a server to answer.
PATIENCE = 20.0

#: Handshakes under way at once: few enough for the capacity of every channel.
HANDSHAKES = 20

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\n"
    "Host: 127.0.0.1:{port}\r\n"
    "Connection: Upgrade\r\n"
    "Upgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "\r\n"
)

TEXT_FRAME = 0x81

#: Bytes that a frame with a short header holds; there are no others here.
SHORT = 125


class LightSocket:
    """One socket; its handshake begins at once, and ``finish_handshake`` awaits the answer."""

    def __init__(self, port: int, path: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(HANDSHAKE.format(path=path, port=port).encode())
        self._rest = b""

    def fileno(self) -> int:
        return self._socket.fileno()

    def finish_handshake(self) -> None:
        answer = b""
        while b"\r\n\r\n" not in answer:
            data = self._socket.recv(4096)
            if not data:
                raise ConnectionError("The server closed the connection in the handshake.")
            answer += data
        head, _, self._rest = answer.partition(b"\r\n\r\n")
        if b" 101 " not in head.partition(b"\r\n")[0]:
            raise ConnectionError(f"The server refused the handshake: {head.decode()}")

    def send(self, frame: bytes) -> None:
        self._socket.sendall(frame)

    def take(self) -> int:
        """Read what has come, and return how many texts are complete."""
        new = self._socket.recv(65536)
        if not new:
            raise ConnectionError("The server closed an open socket.")
        data = self._rest + new
        texts = start = 0
        while (end := _end_of_frame(data, start)) is not None:
            if data[start] != TEXT_FRAME:
                raise ConnectionError(f"The server sent no text, but {data[start:end]!r}.")
            texts += 1
            start = end
        self._rest = data[start:]
        return texts

    def close(self) -> None:
        self._socket.close()


class Crowd:
    """``count`` open sockets at ``path``."""

    def __init__(self, port: int, path: str, count: int) -> None:
        self._sockets: dict[int, LightSocket] = {}
        self._epoll = select.epoll()
        try:
            for size in _portions(count):
                self._join([LightSocket(port, path) for _ in range(size)])
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Crowd:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        for each in self._sockets.values():
            each.close()
        self._epoll.close()

    def send(self, frame: bytes) -> None:
        """Send ``frame`` from one of the sockets."""
        next(iter(self._sockets.values())).send(frame)

    def await_texts(self) -> None:
        """Wait until every socket has had one text more."""
        self._await(len(self._sockets), lambda socket: None)

    def converse(self, frame: bytes, count: int) -> None:
        """Send ``frame`` ``count`` times in all; each socket sends when it has had its answer."""
        left = count

        def say(socket: LightSocket) -> None:
            nonlocal left
            if left:
                left -= 1
                socket.send(frame)

        for each in self._sockets.values():
            say(each)
        self._await(count, say)

    def _join(self, sockets: list[LightSocket]) -> None:
        self._sockets.update({each.fileno(): each for each in sockets})
        for each in sockets:
            each.finish_handshake()
            self._epoll.register(each, select.EPOLLIN)

    def _await(self, texts: int, on_text: Callable[[LightSocket], object]) -> None:
        missing = texts
        while missing:
            ready = self._epoll.poll(PATIENCE)
            if not ready:
                raise TimeoutError(f"{missing} of {texts} texts did not come in {PATIENCE} s.")
            for number, _ in ready:
                socket = self._sockets[number]
                for _ in range(socket.take()):
                    missing -= 1
                    on_text(socket)


def text_frame(text: str) -> bytes:
    """A client's frame; a mask of zeros leaves the payload as it is."""
    payload = text.encode()
    if len(payload) > SHORT:
        raise ValueError(f"The text has {len(payload)} bytes, a short frame holds {SHORT}.")
    return bytes([TEXT_FRAME, 0x80 | len(payload)]) + bytes(4) + payload


def wait_for_sockets(port: int, path: str) -> None:
    """Wait until a handshake succeeds: all processes behind the port are then ready."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            Crowd(port, path, 1).close()
            return
        except OSError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.1)


def _end_of_frame(data: bytes, start: int) -> int | None:
    """Where the short frame that starts there ends; ``None`` when it is not complete."""
    if len(data) < start + 2:
        return None
    size = data[start + 1]
    if size > SHORT:
        raise ValueError(f"The server sent a frame of more than {SHORT} bytes.")
    end = start + 2 + size
    return end if end <= len(data) else None


def _portions(count: int) -> Iterator[int]:
    while count > 0:
        yield min(count, HANDSHAKES)
        count -= HANDSHAKES
