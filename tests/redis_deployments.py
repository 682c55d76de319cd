"""Several real Redis servers that belong together, for tests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from .redis_server import RedisServer


@contextmanager
def running_shards(count: int = 3) -> Iterator[list[RedisServer]]:
    """Servers that know nothing of each other."""
    with ExitStack() as stack:
        yield [stack.enter_context(RedisServer()) for _ in range(count)]


class Deployment:
    """Servers that are set up together and killed together, as a context manager.

    ``password`` is that of all servers, ``binary`` the path of another ``redis-server``.
    """

    def __init__(self, *, password: str | None = None, binary: str | None = None) -> None:
        self.password = password
        self._binary = binary
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        with self._ends as ends:
            self._directory = ends.enter_context(tempfile.TemporaryDirectory(prefix="redis-"))
            self._set_up()
            self._ends = ends.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ends.close()

    def _set_up(self) -> None:
        raise NotImplementedError

    def _start_server(self, *options: str) -> RedisServer:
        """A server that runs, with a directory of its own."""
        server = RedisServer(
            f"dir {self._new_directory()}", *options, binary=self._binary, password=self.password
        )
        self._start(server)
        return server

    def _start(self, server: RedisServer) -> None:
        self._ends.callback(server.kill)
        server.start()

    def _new_directory(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._directory))


def is_master(server: RedisServer) -> bool:
    return bool(server.ask("INFO", "replication")["role"] == "master")


def is_in_sync(replica: RedisServer) -> bool:
    """Whether a replica has got what its master had, and gets what comes."""
    return bool(replica.ask("INFO", "replication").get("master_link_status") == "up")
