"""Pools of redis-py's connections: bounded, and quick, as every message needs one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError

#: Seconds to wait for one of the connections to become free.
PATIENCE = 5.0

#: Seconds after which a connection that was not used may have been closed by the server. After
#: the failure of one, all others may have been.
FRESH_SECONDS = 0.05


class Pool:
    """Up to ``size`` blocking connections, of which the one used last is taken first.

    Safe with threads; after a fork the child has a pool of its own.
    """

    def __init__(self, connect: Callable[[], Any], size: int) -> None:
        self._connect = connect
        self._size = size
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting = 0
        self._idle: list[tuple[Any, float]] = []
        self._used: set[Any] = set()
        self._failed_at = 0.0

    def take(self) -> Any:
        """A connection that works, as far as can be seen; raises what redis-py raises."""
        if self._pid != os.getpid():
            self._reset()
        with self._lock:
            if not self._idle and len(self._used) >= self._size:
                self._wait()
            connection, used_at = self._idle.pop() if self._idle else (self._connect(), 0.0)
            self._used.add(connection)
        if used_at + FRESH_SECONDS < time.monotonic() or used_at < self._failed_at:
            self._make_sure(connection, is_new=not used_at)
        return connection

    def give(self, connection: Any) -> None:
        """Take a connection back that owes no answer."""
        with self._lock:
            if connection in self._used:
                self._used.remove(connection)
                self._idle.append((connection, time.monotonic()))
                if self._waiting:
                    self._changed.notify()
                return
        connection.disconnect()  # of a pool that was closed meanwhile

    def drop(self, connection: Any) -> None:
        """Close a connection that is of no use any more."""
        with self._lock:
            self._failed_at = time.monotonic()
            self._used.discard(connection)
            self._changed.notify()
        connection.disconnect()

    def close(self) -> None:
        """Close all connections, those in use when they are given back; later ones are new."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._used.clear()
            self._changed.notify_all()
        for connection, _ in idle:
            connection.disconnect()

    def _wait(self) -> None:
        def is_free() -> bool:
            return bool(self._idle) or len(self._used) < self._size

        self._waiting += 1
        try:
            if not self._changed.wait_for(is_free, PATIENCE):
                raise RedisConnectionError(_all_used(self._size))
        finally:
            self._waiting -= 1

    def _make_sure(self, connection: Any, is_new: bool) -> None:
        try:
            if is_new or self._is_stale(connection):
                self._open(connection)
        except BaseException:
            self.drop(connection)
            raise

    def _is_stale(self, connection: Any) -> bool:
        """Whether the server has closed the connection meanwhile."""
        try:
            return bool(connection.can_read(0))
        except (RedisConnectionError, OSError):
            return True

    def _open(self, connection: Any) -> None:
        """Connect, and see that it is a Redis that lets us in, before anything is sent to it."""
        connection.disconnect()
        connection.connect()
        connection.send_command("PING")
        with contextlib.suppress(NoPermissionError):
            connection.read_response()


class LoopPool:
    """The same for the asyncio connections of one event loop.

    Who uses a connection waits for each answer ``answer_seconds`` at the most (``None``: for
    ever). redis-py would see to that too, but with a task for each write.
    """

    def __init__(
        self, connect: Callable[[], Any], size: int, answer_seconds: float | None
    ) -> None:
        self.answer_seconds = answer_seconds
        self._connect = connect
        self._size = size
        self._free = asyncio.Semaphore(size)
        self._idle: list[tuple[Any, float]] = []
        self._used: set[Any] = set()
        self._failed_at = 0.0

    async def take(self) -> Any:
        """A connection that works, as far as can be seen; raises what redis-py raises."""
        if self._free.locked():
            await self._wait()
        else:
            await self._free.acquire()
        try:
            connection, used_at = self._idle.pop() if self._idle else (self._connect(), 0.0)
        except BaseException:
            self._free.release()
            raise
        self._used.add(connection)
        if used_at + FRESH_SECONDS < time.monotonic() or used_at < self._failed_at:
            await self._make_sure(connection, is_new=not used_at)
        return connection

    async def give(self, connection: Any) -> None:
        """Take a connection back that owes no answer."""
        self._free.release()
        if connection in self._used:
            self._used.discard(connection)
            self._idle.append((connection, time.monotonic()))
        else:
            await connection.disconnect()  # of a pool that was closed meanwhile

    async def drop(self, connection: Any) -> None:
        """Close a connection that is of no use any more."""
        self._failed_at = time.monotonic()
        self._used.discard(connection)
        self._free.release()
        await connection.disconnect(nowait=True)

    async def close(self) -> None:
        """Close all connections, those in use when they are given back; later ones are new."""
        idle, self._idle = self._idle, []
        self._used.clear()
        for connection, _ in idle:
            await connection.disconnect()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._free.acquire()
        except TimeoutError:
            raise RedisConnectionError(_all_used(self._size)) from None

    async def _make_sure(self, connection: Any, is_new: bool) -> None:
        try:
            if is_new or await self._is_stale(connection):
                await self._open(connection)
        except BaseException:
            await self.drop(connection)
            raise

    async def _is_stale(self, connection: Any) -> bool:
        # Its name before redis-py 8.
        can_read = getattr(connection, "can_read", None) or connection.can_read_destructive
        try:
            return bool(await can_read())
        except (RedisConnectionError, OSError):
            return True

    async def _open(self, connection: Any) -> None:
        await connection.disconnect()
        connection.socket_timeout = self.answer_seconds
        await connection.connect()
        await connection.send_command("PING")
        with contextlib.suppress(NoPermissionError):
            await connection.read_response()
        connection.socket_timeout = None


def _all_used(size: int) -> str:
    return (
        f"all {size} connections are in use: raise 'max_connections' in connection_kwargs, or "
        "use fewer threads"
    )
