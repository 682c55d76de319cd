"""Asking servers where the shards are: sentinels, or the nodes of a cluster."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Sequence
from typing import Any

from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    ReadOnlyError,
    RedisError,
    TryAgainError,
)

from ...exceptions import ChannelLayerUnavailable
from .command import Command
from .errands import Redirect
from .hosts import Host
from .server import Server, refused

#: Seconds for which nobody is asked again after nobody knew, as many may want to know.
QUIET_SECONDS = 0.1

#: What a server says that is no master any more, or not yet, or not now.
NOT_SERVING = {"READONLY", "UNBLOCKED", "LOADING", "MASTERDOWN", "CLUSTERDOWN"}

#: The classes that redis-py makes of errors, depending on its release, by the word that it then
#: removes; those that derive from others come first.
CODES = {
    ReadOnlyError: "READONLY",
    BusyLoadingError: "LOADING",
    MasterDownError: "MASTERDOWN",
    ClusterDownError: "CLUSTERDOWN",
    MovedError: "MOVED",
    AskError: "ASK",
    TryAgainError: "TRYAGAIN",
}


class Directory:
    """Where the shards are, as the ``sources`` tell; safe with threads.

    A shard goes by a key: the name of a service, or a slot. What is known is used until it
    turns out to be wrong, or for ``valid_seconds`` if that is not 0.
    """

    #: What the sources are, for people to read.
    source_name = ""

    def __init__(self, sources: Sequence[Host], valid_seconds: float = 0) -> None:
        self._sources = tuple(sources)
        self._first = 0
        self._lost: Host | None = None
        self._valid_seconds = valid_seconds
        self._found: dict[Hashable, Host] = {}
        self._found_at = float("-inf")
        self._failure: ChannelLayerUnavailable | None = None
        self._failed_at = float("-inf")
        self._known: dict[tuple[str, int], Host] = {}
        self.unlock()

    def unlock(self) -> None:
        """In a forked child, where another thread may have held the lock."""
        self._lock = threading.Lock()

    def host(self, key: Hashable) -> Host | None:
        """Where a shard is, as far as it is known."""
        if self._valid_seconds and time.monotonic() > self._found_at + self._valid_seconds:
            return None
        return self._found.get(key)

    def find(self, key: Hashable) -> Host:
        """Ask where a shard is, unless that is known; raises ``ChannelLayerUnavailable``."""
        with self._lock:
            return self.host(key) or self._ask(key)

    def lose(self, host: Host) -> None:
        """Forget what was found at a server that failed, and ask somebody else next time."""
        # Without the lock, as nobody should wait for it in an event loop.
        for key, found in list(self._found.items()):
            if found is host:
                self._found.pop(key, None)
        self._lost = host
        self._first += 1

    def redirect(self, key: Hashable, error: RedisError, host: Host) -> Redirect | None:
        """Where to take a command that ``host`` refused; ``None`` for nowhere."""
        if code_of(error) not in NOT_SERVING:
            return None
        self.lose(host)
        return Redirect()

    def _ask(self, key: Hashable) -> Host:
        if self._failure and time.monotonic() < self._failed_at + QUIET_SECONDS:
            raise ChannelLayerUnavailable(*self._failure.args) from self._failure
        reasons, cause = [], None
        for source in self._in_order():
            try:
                self._found.update(self._read(source))
            except ChannelLayerUnavailable as error:
                reasons.append(str(error))
                cause = error
            else:
                if found := self._found.get(key):
                    self._found_at = time.monotonic()
                    return found
                reasons.append(f"{source.address} does not know.")
        if known := self._found.get(key):
            # It is just old, and better than nothing.
            self._found_at = time.monotonic()
            return known
        self._failure = ChannelLayerUnavailable(f"{self._describe(key)} {' '.join(reasons)}")
        self._failed_at = time.monotonic()
        raise self._failure from cause

    def _in_order(self) -> list[Host]:
        """The sources, in the order to ask: what failed of late is asked last."""
        start = self._first % len(self._sources)
        return sorted(
            self._sources[start:] + self._sources[:start], key=lambda source: source is self._lost
        )

    def _at(self, name: str, port: int) -> Host:
        """The server at an address: always the same object, as connections belong to it."""
        known = self._known.get((name, port))
        return known or self._known.setdefault((name, port), self._make_host(name, port))

    def _make_host(self, name: str, port: int) -> Host:
        raise NotImplementedError

    def _read(self, source: Host) -> dict[Hashable, Host]:
        """Where the shards are, as a source tells; raises ``ChannelLayerUnavailable``."""
        raise NotImplementedError

    def _describe(self, key: Hashable) -> str:
        """A sentence that says that a shard was not found, and the remedy."""
        raise NotImplementedError


class Place:
    """The location of one shard, for which a directory is asked."""

    def __init__(self, directory: Directory, key: Hashable) -> None:
        self._directory = directory
        self._key = key

    def __repr__(self) -> str:
        host = self.host
        return f"<Place of {self._key}: {host.address if host else 'unknown'}>"

    @property
    def host(self) -> Host | None:
        return self._directory.host(self._key)

    def find(self) -> Host:
        return self._directory.find(self._key)

    def lose(self, host: Host) -> bool:
        self._directory.lose(host)
        return True

    def redirect(self, error: RedisError, host: Host) -> Redirect | None:
        return self._directory.redirect(self._key, error, host)


def ask_once(host: Host, commands: Sequence[Command]) -> list[Any]:
    """The answers of a server, over a connection of its own; raises ``ChannelLayerUnavailable``.

    Who is asked this seldom is better not kept connected.
    """
    server = Server(host)
    try:
        answers = server.begin(commands).answers()
    finally:
        server.close()
    for answer in answers:
        if isinstance(answer, RedisError):
            raise refused(host.address, answer)
        if isinstance(answer, Exception):
            raise answer
    return answers


def code_of(error: RedisError) -> str:
    """The word that an error of Redis begins with."""
    for kind, code in CODES.items():
        if isinstance(error, kind):
            return code
    text = str(error)
    # Redis 6.2 has the error of a script's own call within the script's.
    return "READONLY" if "-READONLY" in text else text.partition(" ")[0]
