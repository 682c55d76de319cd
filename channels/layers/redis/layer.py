"""The channel layer on Redis servers."""

from __future__ import annotations

import asyncio
import os
import time
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from ...types import Content, Received, Sending
from .. import codec
from ..base import BaseChannelLayer, CapacityPatterns
from ..codec import Packed
from ..encryption import Cipher
from .commands import Commands
from .driver import Driver, LoopDriver
from .entries import Entry
from .errands import FixedLocation, Location
from .groups import Groups
from .hosts import HostSpec, parse_hosts
from .loops import Loops
from .overview import Overview
from .pops import Pop
from .receiver import NOTHING, Receiver
from .sender import Encoded, Outcome, Sender
from .shards import Shard, Shards
from .steps import Steps

#: All layers of this process, for the moment after a fork.
layers: weakref.WeakSet[RedisChannelLayer] = weakref.WeakSet()


class RedisChannelLayer(BaseChannelLayer):
    """A layer that all processes share which use the same Redis servers and ``prefix``.

    Takes the arguments of ``BaseChannelLayer``, and:

    ``hosts``
        A list of servers: URLs (``redis://``, ``rediss://``, ``unix://``), ``(host, port)``
        pairs, or dicts of redis-py's keywords. ``None``: localhost, port 6379. Several servers
        are shards, which must be listed in the same order everywhere.
    ``prefix``, ``stats_prefix``
        How the names of all keys start: those of messages and groups, and of statistics.
    ``symmetric_encryption_keys``
        A list of texts or bytes: messages are encrypted with the first, and decrypted with any.
        Needs the extra ``crypto``.
    ``connection_kwargs``
        Keywords of redis-py for every connection. ``max_connections`` (100) bounds two pools
        of connections to each server, one of them for blocking receives alone.

    A configuration that cannot work is a ``ValueError``. When a server is away that is needed,
    everything but a blocking receive raises ``ChannelLayerUnavailable``; what may have arrived
    is never sent again. Safe with threads, event loops and forks.
    """

    takes_packed: ClassVar[bool] = True

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
        check_prefixes(prefix, stats_prefix)
        self.prefix = prefix
        self.stats_prefix = stats_prefix
        places = self._place_shards(hosts, connection_kwargs)
        commands = [
            Commands(prefix + tag, stats_prefix + tag, expiry, group_expiry) for _, tag in places
        ]
        locations = [location for location, _ in places]
        self._shards = Shards([Shard(*both) for both in zip(commands, locations, strict=True)])
        self._sender = Sender(self._shards, self.get_capacity, self.channel_full)
        self._receiver = Receiver(self._shards, self._block_seconds, self._decode)
        self._groups = Groups(self._shards, self._receiver.processes)
        self._overview = Overview(self._shards, expiry, self.get_capacity)
        self._driver = Driver(locations)
        self._loops = Loops(lambda: LoopDriver(locations), self._pop, self._give_back)
        layers.add(self)

    def _place_shards(
        self, hosts: Sequence[Any] | None, connection_kwargs: Mapping[str, Any] | None
    ) -> list[tuple[Location, str]]:
        """Where each shard is, and what its keys have behind the prefix."""
        parsed = parse_hosts(hosts, connection_kwargs)
        self._block_seconds = min(host.block_seconds for host in parsed)
        self._addresses = [host.address for host in parsed]
        return [(FixedLocation(host), "") for host in parsed]

    def __repr__(self) -> str:
        where = ", ".join(self._addresses)
        return f"<{type(self).__name__} at {where}, prefix {self.prefix!r}>"

    def send(self, channel: str, message: Content) -> None:
        self.check_channel(channel)
        if outcome := self._driver.drive(self._sender.send(channel, self.encode(message))):
            raise outcome

    async def send_async(self, channel: str, message: Content) -> None:
        self.check_channel(channel)
        steps = self._sender.send(channel, self.encode(message))
        if outcome := await self._loops.running().driver.drive(steps):
            raise outcome

    def send_many(self, sendings: Sequence[Sending]) -> list[Exception | None]:
        return self._driver.drive(self._send_many(sendings))

    async def send_many_async(self, sendings: Sequence[Sending]) -> list[Exception | None]:
        return await self._loops.running().driver.drive(self._send_many(sendings))

    def turn(
        self, sendings: Sequence[Sending], channels: Iterable[str]
    ) -> tuple[list[Exception | None], Received]:
        names = self.check_receive_channels(channels)
        if not names or not sendings:
            return self.send_many(sendings), self._receive(names)
        outcomes, received = self._driver.drive(self._turn(sendings, names))
        return outcomes, self._pause_after(received, names)

    def receive(self, channels: Iterable[str], block: bool = False) -> Received:
        names = self.check_receive_channels(channels)
        if block or not names:
            return self._receive(names)
        return self._driver.drive(self._receiver.look(names))

    async def receive_async(self, channels: Iterable[str]) -> Received:
        names = self.check_receive_channels(channels)
        in_loop = self._loops.running()
        await asyncio.sleep(0)  # so that a large buffer does not hold up the loop
        if not names:
            return NOTHING
        received = await in_loop.driver.drive(self._receiver.hand_out(names))
        if received[0] is None:
            self._receiver.buffer.put(await in_loop.pops.take(names))
            received = await in_loop.driver.drive(self._receiver.hand_out(names))
        return received

    async def receive_batch_async(
        self, channels: Iterable[str]
    ) -> list[tuple[list[str], Content]]:
        names = self.check_receive_channels(channels)
        in_loop = self._loops.running()
        await asyncio.sleep(0)
        if not names:
            return []
        batch = await in_loop.driver.drive(self._receiver.hand_out_all(names))
        if not batch:
            self._receiver.buffer.put(await in_loop.pops.take(names, batch=True))
            batch = await in_loop.driver.drive(self._receiver.hand_out_all(names))
        return batch

    def group_add(self, group: str, channel: str) -> None:
        self.check_group(group)
        self.check_channel(channel)
        self._driver.drive(self._groups.add(group, channel))

    def group_discard(self, group: str, channel: str) -> None:
        self.check_group(group)
        self.check_channel(channel)
        self._driver.drive(self._groups.discard(group, channel))

    def group_channels(self, group: str) -> list[str]:
        self.check_group(group)
        return self._driver.drive(self._groups.channels(group))

    def group_refresh(self, channels: Iterable[str]) -> None:
        names = list(channels)
        for name in names:
            self.check_channel(name)
        self._driver.drive(self._groups.refresh(names))

    def send_group(self, group: str, message: Content) -> None:
        self.check_group(group)
        if outcome := self._driver.drive(self._sender.send_group(group, self.encode(message))):
            raise outcome

    def flush(self) -> None:
        self._receiver.forget()
        self._driver.drive(self._overview.flush())

    def global_statistics(self) -> dict[str, int]:
        return self._driver.drive(self._overview.global_statistics())

    def channel_statistics(self, channel: str) -> dict[str, float]:
        return self._driver.drive(self._overview.channel_statistics(channel))

    def describe(self) -> dict[str, Any]:
        """What the layer holds, for people to look at, as ``manage.py channels_layer --json``.

        A server that does not answer is no error here: its entry in ``shards`` says so.
        """
        return {"prefix": self.prefix, **self._driver.drive(self._overview.describe())}

    def close(self) -> None:
        """Close the connections of threads, and ask event loops that run to close theirs.

        In an event loop, ``await close_async()`` is better, as it also waits.
        """
        self._driver.close()
        self._loops.close_all()

    async def close_async(self) -> None:
        """Close the connections of threads and of the running event loop."""
        await self._loops.running().close()
        self._driver.close()

    def after_fork(self) -> None:
        """Forget what belongs to the parent process."""
        self._receiver.forget()
        self._loops.unlock()

    def encode(self, message: Mapping[str, Any]) -> bytes:
        """The same as in other layers, encrypted if there are keys."""
        data = super().encode(message)
        return self._cipher.encrypt(data) if self._cipher else data

    def _decode(self, data: bytes) -> Content:
        return codec.decode(self._cipher.decrypt(data) if self._cipher else data)

    def _encode(self, sending: Sending) -> Encoded | Exception:
        name, message, to_group = sending
        try:
            if to_group:
                self.check_group(name)
            else:
                self.check_channel(name)
            # Mostly it was encoded when it was held, and nothing is left to do.
            if type(message) is Packed and self._cipher is None and self.max_message_size is None:
                return name, message.data, to_group
            return name, self.encode(message), to_group
        except Exception as error:
            return error

    def _send_many(self, sendings: Sequence[Sending]) -> Steps[list[Outcome]]:
        messages = [self._encode(sending) for sending in sendings]
        batch = yield from self._sender.gather(messages)
        return (yield from self._sender.finish(batch))

    def _receive(self, names: list[str]) -> Received:
        if not names:
            return NOTHING
        return self._pause_after(self._driver.drive(self._receiver.receive(names)), names)

    def _pause_after(self, received: Received | None, names: list[str]) -> Received:
        """After all servers have failed, wait for the next attempt."""
        if received is None:
            time.sleep(self._receiver.pause(names))
        return received or NOTHING

    def _turn(
        self, sendings: Sequence[Sending], names: list[str]
    ) -> Steps[tuple[list[Outcome], Received | None]]:
        """Send, and receive in the same write if possible; ``None`` if no server can be heard."""
        batch = yield from self._sender.gather([self._encode(sending) for sending in sendings])
        requests = batch.next_round()
        while batch.has_more():
            batch.note((yield requests))
            requests = batch.next_round()
        received, answers = yield from self._receiver.say_and_receive(requests, names)
        batch.note(answers)
        return (yield from self._sender.finish(batch)), received

    def _pop(self, driver: LoopDriver) -> Pop:
        async def pop(names: list[str], batch: bool) -> list[Entry]:
            """What a wait brings, pauses while Redis is away included."""
            taken = await driver.drive(self._receiver.wait(names, batch=batch))
            if taken.failed:
                await asyncio.sleep(self._receiver.pause(names))
            return taken.entries

        return pop

    def _give_back(self, entries: list[Entry]) -> None:
        self._driver.drive(self._receiver.give_back(entries))


def check_prefixes(prefix: object, stats_prefix: object) -> None:
    """Raise ``ValueError`` unless what the layer keeps can be told from everything else."""
    for name, value in (("prefix", prefix), ("stats_prefix", stats_prefix)):
        if not isinstance(value, str) or not value:
            raise ValueError(f"{name} must be a text that is not empty, not {value!r}.")
    if prefix == stats_prefix:
        raise ValueError(f"prefix and stats_prefix must differ, not both be {prefix!r}.")


def _after_fork() -> None:
    for layer in layers:
        layer.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
