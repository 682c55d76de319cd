"""The site in real processes, each of which has a proxy before Redis, and real sockets."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from channels.layers.redis import RedisChannelLayer
from channels.test.layer_cases.base import InThread
from channels.types import Sending

from ..examples.processes import PATIENCE, Process, free_port
from ..redis_server import RedisServer, wait_until
from ..tcp_proxy import TcpProxy
from .site import KEY

ROOT = Path(__file__).parents[2]


class Site:
    """Interface servers and workers; ``server_proxy`` and ``worker_proxy`` are how they reach
    ``redis``, and ``layer`` is a layer of the test itself, without a proxy."""

    def __init__(self, directory: Path, redis: RedisServer, stack: contextlib.ExitStack) -> None:
        self.redis = redis
        self.layer = RedisChannelLayer([redis.url], symmetric_encryption_keys=[KEY])
        stack.callback(self.layer.close)
        self.server_proxy = stack.enter_context(TcpProxy(redis.port))
        self.worker_proxy = stack.enter_context(TcpProxy(redis.port))
        self._stack = stack
        self._directory = directory
        self._record = directory / "record"
        self._record.touch()

    def start_server(self) -> Server:
        """Start uvicorn with the interface server."""
        port = free_port()
        command = ("-m", "uvicorn", "tests.faults.asgi:application", f"--port={port}")
        server = Server(port, self._start(self.server_proxy, command))
        server.process.wait_for_line("Uvicorn running")
        return server

    def start_worker(self, threads: int = 1, wait: bool = True) -> Process:
        """Start runworker; with ``wait`` it receives when this returns."""
        command = ("-m", "django", "runworker", "--threads", str(threads))
        worker = self._start(self.worker_proxy, command)
        if wait:
            worker.wait_for_line("Listening on channels")
        return worker

    def _start(self, proxy: TcpProxy, command: Sequence[str]) -> Process:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.faults.site",
            "CHANNELS_REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0",
            "FAULTS_RECORD": str(self._record),
        }
        process = Process(ROOT, list(command), environment)
        self._stack.callback(process.kill)
        return process

    def recorded(self, event: str) -> list[Any]:
        """The subjects of all such events so far, in their order."""
        lines = map(json.loads, self._record.read_text().splitlines())
        return [subject for kind, subject in lines if kind == event]

    def wait_for(self, event: str, count: int) -> None:
        """Wait until so many such events have been recorded."""
        wait_until(lambda: len(self.recorded(event)) >= count, f"{count} times {event!r}")


class Server:
    """An interface server."""

    def __init__(self, port: int, process: Process) -> None:
        self.port = port
        self.process = process

    @contextlib.contextmanager
    def sockets(self, count: int, group: str, path: str = "echo") -> Iterator[list[Socket]]:
        """So many open sockets that belong to ``group``."""
        url = f"ws://127.0.0.1:{self.port}/{path}/{group}/"
        with contextlib.ExitStack() as stack:
            options: dict[str, Any] = {"open_timeout": PATIENCE, "max_queue": None, "proxy": None}
            yield [Socket(stack.enter_context(connect(url, **options))) for _ in range(count)]


class Socket:
    """A client's socket, which hears and says numbers; ``heard`` are all so far."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.heard: list[int] = []

    def say(self, number: int) -> None:
        self.connection.send(str(number))

    def hear(self, seconds: float = PATIENCE) -> int:
        """The next number; ``TimeoutError`` if none comes."""
        number = int(self.connection.recv(seconds))
        self.heard.append(number)
        return number

    def hear_until(self, number: int) -> None:
        """Hear what comes, until that number or a higher one has come."""
        while not self.heard or self.heard[-1] < number:
            self.hear()

    def hear_to_the_end(self) -> int:
        """Hear all that comes until the socket is closed, and return the code of that."""
        try:
            while True:
                self.hear()
        except ConnectionClosed as end:
            return end.rcvd.code if end.rcvd else 1006


class Broadcast:
    """Numbers that a group is sent all the time, until ``end`` or the end of the block.

    ``sent`` is how many so far.
    """

    #: Seconds between two of them: so few that some wait in a server all the time.
    PAUSE = 0.001

    def __init__(self, layer: RedisChannelLayer, group: str) -> None:
        self.sent = 0
        self._layer = layer
        self._group = group
        self._stop = threading.Event()

    def __enter__(self) -> Broadcast:
        self._thread = InThread(self._send)
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()

    def end(self) -> None:
        self._stop.set()
        self._thread.outcome()

    def _send(self) -> None:
        while not self._stop.wait(self.PAUSE):
            self._layer.send_group(self._group, {"text": str(self.sent)})
            self.sent += 1


class Load:
    """Numbered messages to ``work``, whose results are collected while they come."""

    def __init__(self, site: Site, count: int) -> None:
        self.results: list[int] = []
        self._site = site
        self._stop = threading.Event()
        outcomes = site.layer.send_many([Sending("work", {"n": n}) for n in range(count)])
        assert outcomes == [None] * count
        self._thread = InThread(self._collect)

    def _collect(self) -> None:
        while not self._stop.is_set():
            _, message = self._site.layer.receive(["results"], block=True)
            if message is not None:
                self.results.append(message["n"])

    def wait_for(self, count: int) -> None:
        """Wait until so many messages have been begun, since the beginning."""
        wait_until(lambda: len(self.begun()) >= count, f"{count} messages are begun")

    def begun(self) -> list[int]:
        return self._site.recorded("begin")

    def wait_for_end(self) -> None:
        """Wait until no message is left."""

        def is_quiet() -> bool:
            waiting = [self._site.layer.channel_statistics(name) for name in ("work", "results")]
            return not any(each["messages_pending"] for each in waiting)

        wait_until(is_quiet, "all messages are handled")

    def end(self) -> None:
        self._stop.set()
        self._thread.outcome()


def repeated(items: Sequence[Any]) -> list[Any]:
    """What is there more than once."""
    return [item for item, count in Counter(items).items() if count > 1]
