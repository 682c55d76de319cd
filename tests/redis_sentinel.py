"""A master, its replica, and sentinels, for tests."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import IO, Any

from .redis_deployments import Deployment, is_in_sync, is_master
from .redis_server import RedisServer, wait_until


class SentinelDeployment(Deployment):
    """A master, its replica, and the sentinels that watch them.

    There may be one of the ``sentinels``, or three, of which two must agree on who takes over;
    ``sentinel_password`` is theirs. They watch more with ``SENTINEL MONITOR``, sent to each of
    ``sentinel_servers``.
    """

    #: The name of the master.
    service = "main"

    def __init__(
        self,
        sentinels: int = 1,
        *,
        password: str | None = None,
        sentinel_password: str | None = None,
        binary: str | None = None,
    ) -> None:
        super().__init__(password=password, binary=binary)
        self.servers: list[RedisServer] = []
        self.sentinel_servers: list[SentinelServer] = []
        self.sentinel_password = sentinel_password
        self._count = sentinels

    @property
    def sentinels(self) -> list[tuple[str, int]]:
        """Where the sentinels are, as hosts and ports."""
        return [("127.0.0.1", sentinel.port) for sentinel in self.sentinel_servers]

    def master(self) -> RedisServer:
        """The master, as soon as all sentinels name the same one."""
        return wait_until(self._find_master, "all sentinels name one master")

    def fail_over(self) -> RedisServer:
        """Make the replica the master and the master its replica; returns the new master."""
        old = self.master()
        sentinel = self._running_sentinels()[0]
        # It refuses while another failover is not over, or the replica not ready.
        wait_until(
            lambda: sentinel.ask("SENTINEL", "FAILOVER", self.service), "a failover may start"
        )
        return self._wait_for_another_master(old)

    def kill_master(self) -> RedisServer:
        """Kill the master and wait for what the sentinels do; returns the new master."""
        old = self.master()
        old.kill()
        return self._wait_for_another_master(old)

    def _set_up(self) -> None:
        # What a replica gets at first is to come at once.
        at_once = ("repl-diskless-sync yes", "repl-diskless-sync-delay 0")
        master = self._start_server(*at_once)
        replica = self._start_server(*at_once, f"replicaof 127.0.0.1 {master.port}")
        self.servers = [master, replica]
        wait_until(lambda: is_in_sync(replica), "the replica is in sync")
        for _ in range(self._count):
            self._start_sentinel(master)
        wait_until(
            lambda: all(map(self._knows_all, self.sentinel_servers)), "the sentinels know all"
        )

    def _start_sentinel(self, master: RedisServer) -> None:
        lines = [
            f"sentinel monitor {self.service} 127.0.0.1 {master.port} 1",
            f"sentinel down-after-milliseconds {self.service} 1000",
            f"sentinel failover-timeout {self.service} 2000",
        ]
        if self.password:
            lines.append(f"sentinel auth-pass {self.service} {self.password}")
        if self.sentinel_password:
            lines.append(f"sentinel sentinel-pass {self.sentinel_password}")
        sentinel = SentinelServer(
            self._new_directory(), *lines, binary=self._binary, password=self.sentinel_password
        )
        self._start(sentinel)
        self.sentinel_servers.append(sentinel)

    def _knows_all(self, sentinel: RedisServer) -> bool:
        """Whether it finds its master well, with a replica, and has met the other sentinels."""
        master = _as_dict(sentinel.ask("SENTINEL", "MASTER", self.service))
        replicas = sentinel.ask("SENTINEL", "REPLICAS", self.service)
        return (
            master[b"flags"] == b"master"
            and int(master[b"num-other-sentinels"]) == self._count - 1
            and [_as_dict(replica)[b"flags"] for replica in replicas] == [b"slave"]
        )

    def _running_sentinels(self) -> list[SentinelServer]:
        return [sentinel for sentinel in self.sentinel_servers if sentinel.is_running]

    def _find_master(self) -> RedisServer | None:
        """What all sentinels take for the master, or ``None`` while they do not agree."""
        servers = {server.port: server for server in self.servers}
        found = set()
        for sentinel in self._running_sentinels():
            master = _as_dict(sentinel.ask("SENTINEL", "MASTER", self.service))
            found.add(servers[int(master[b"port"])])
        return found.pop() if len(found) == 1 else None

    def _wait_for_another_master(self, old: RedisServer) -> RedisServer:
        def find_another() -> RedisServer | None:
            new = self._find_master()
            return new if new and new is not old and is_master(new) else None

        return wait_until(find_another, "another server is master, and all sentinels name it")


class SentinelServer(RedisServer):
    """A sentinel, which keeps what it knows in its ``directory``."""

    def __init__(
        self,
        directory: Path,
        *options: str,
        binary: str | None = None,
        password: str | None = None,
    ) -> None:
        super().__init__(f"dir {directory}", *options, binary=binary, password=password)
        self._file = directory / "sentinel.conf"

    def _launch(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        if not self._file.exists():
            self._file.write_text("\n".join(self._configure()))
        return subprocess.Popen(
            [self._binary, str(self._file), "--sentinel"], stdout=log, stderr=subprocess.STDOUT
        )


def _as_dict(pairs: list[bytes]) -> dict[bytes, Any]:
    """What a sentinel replies with, names and values in turn."""
    return dict(zip(pairs[::2], pairs[1::2], strict=True))
