"""The channel layer on one Redis server."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...types import Content, Received
from .. import codec
from ..base import BaseChannelLayer, CapacityPatterns
from ..encryption import Cipher
from .commands import Commands, split
from .hosts import Host, HostSpec, parse_hosts
from .receiver import Receiver
from .server import Server

#: All layers of this process, for the moment after a fork.
layers: weakref.WeakSet[RedisChannelLayer] = weakref.WeakSet()


class RedisChannelLayer(BaseChannelLayer):
    """A layer that all processes share which use the same Redis server and ``prefix``.

    Takes the arguments of ``BaseChannelLayer``, and:

    ``hosts``
        A list with the server: a URL (``redis://``, ``rediss://``, ``unix://``), a ``(host,
        port)`` pair, or a dict of redis-py's keywords. ``None``: localhost, port 6379.
    ``prefix``, ``stats_prefix``
        How the names of all keys start: those of messages and groups, and of statistics.
    ``symmetric_encryption_keys``
        A list of texts or bytes: messages are encrypted with the first, and decrypted with any.
        Needs the extra ``crypto``.
    ``connection_kwargs``
        Keywords of redis-py for every connection. ``max_connections`` (100) bounds two pools
        of connections, one of them for blocking receives alone.

    A configuration that cannot work is a ``ValueError``. When Redis is away, everything but a
    blocking receive raises ``ChannelLayerUnavailable``; no command is ever sent twice. Safe
    with threads, event loops and forks.
    """

    def __init__(
        self,
        hosts: Sequence[HostSpec] | None = None,
        prefix: str = "asgi:",
        expiry: float = 60,
        group_expiry: float = 86400,
        capacity: int = 1000,
        channel_capacity: CapacityPatterns | None = None,
        symmetric_encryption_keys: Sequence[str | bytes] | None = None,
        stats_prefix: str = "asgi-meta:",
        connection_kwargs: Mapping[str, Any] | None = None,
        *,
        max_message_size: int | None = None,
    ) -> None:
        super().__init__(expiry, group_expiry, capacity, channel_capacity, max_message_size)
        keys = symmetric_encryption_keys
        self._cipher = Cipher(keys) if keys else None
        self.prefix = prefix
        self.stats_prefix = stats_prefix
        self._commands = Commands(prefix, stats_prefix, expiry, group_expiry)
        self._server = Server(_only_one(parse_hosts(hosts, connection_kwargs)))
        self._receiver = Receiver(self._server, self._commands, self._decode)
        layers.add(self)

    def __repr__(self) -> str:
        return f"<RedisChannelLayer at {self._server.address}, prefix {self.prefix!r}>"

    def send(self, channel: str, message: Content) -> None:
        self.check_channel(channel)
        call = self._commands.send(channel, self.encode(message), self.get_capacity(channel))
        self._check_depth(channel, self._server.run(call))

    async def send_async(self, channel: str, message: Content) -> None:
        self.check_channel(channel)
        call = self._commands.send(channel, self.encode(message), self.get_capacity(channel))
        self._check_depth(channel, await self._receiver.in_loop().server.run(call))

    def receive(self, channels: Iterable[str], block: bool = False) -> Received:
        names = self.check_receive_channels(channels)
        if not names:
            return None, None
        return self._receiver.wait(names) if block else self._receiver.look(names)

    async def receive_async(self, channels: Iterable[str]) -> Received:
        names = self.check_receive_channels(channels)
        if not names:
            return None, None
        return await self._receiver.wait_async(names)

    def group_add(self, group: str, channel: str) -> None:
        self.check_group(group)
        self.check_channel(channel)
        capacity = self.get_capacity(channel)
        limit = None if capacity == self.capacity else capacity
        self._server.run(self._commands.group_add(group, channel, limit))

    def group_discard(self, group: str, channel: str) -> None:
        self.check_group(group)
        self.check_channel(channel)
        self._server.run(self._commands.group_discard(group, channel))

    def group_channels(self, group: str) -> list[str]:
        self.check_group(group)
        names = self._server.run(self._commands.group_channels(group))
        return [name.decode() for name in names]

    def group_refresh(self, channels: Iterable[str]) -> None:
        sockets: dict[str, list[str]] = {}
        for channel in channels:
            self.check_channel(channel)
            owner, socket = split(channel)
            sockets.setdefault(owner, []).append(socket)
        for owner, names in sockets.items():
            self._server.run(self._commands.group_refresh(owner, names))

    def send_group(self, group: str, message: Content) -> None:
        self.check_group(group)
        call = self._commands.send_group(group, self.encode(message), self.capacity)
        self._server.run(call)

    def flush(self) -> None:
        self._receiver.forget()
        self._server.drive(self._commands.flush())

    def global_statistics(self) -> dict[str, int]:
        sent, refused = self._server.execute(self._commands.global_statistics())
        return {"messages_count": int(sent or 0), "channel_full_count": int(refused or 0)}

    def channel_statistics(self, channel: str) -> dict[str, float]:
        call = self._commands.statistics(channel)
        sent, refused, pending, expires_in = self._server.run(call)
        age = self.expiry - float(expires_in) / 1000 if expires_in else 0
        return {
            "messages_count": sent,
            "messages_pending": pending,
            "messages_max_age": max(age, 0),
            "channel_full_count": refused,
        }

    def close(self) -> None:
        """Close the connections of threads, and ask event loops that run to close theirs.

        In an event loop, ``await close_async()`` is better, as it also waits.
        """
        self._server.close()
        self._receiver.close_loops()

    async def close_async(self) -> None:
        """Close the connections of threads and of the running event loop."""
        self._server.close()
        await self._receiver.close_loop()

    def after_fork(self) -> None:
        """Forget what belongs to the parent process."""
        self._receiver.forget()

    def encode(self, message: Content) -> bytes:
        """The same as in other layers, encrypted if there are keys."""
        data = super().encode(message)
        return self._cipher.encrypt(data) if self._cipher else data

    def _decode(self, data: bytes) -> Content:
        return codec.decode(self._cipher.decrypt(data) if self._cipher else data)

    def _check_depth(self, channel: str, depth: int) -> None:
        if depth >= 0:
            raise self.channel_full(channel, depth)


def _only_one(hosts: list[Host]) -> Host:
    if len(hosts) > 1:
        raise ValueError(
            f"hosts names {len(hosts)} servers, but this release of channels cannot spread "
            "messages over several yet: name one."
        )
    return hosts[0]


def _after_fork() -> None:
    for layer in layers:
        layer.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
