"""Receiving: taking entries off Redis, and handing out what they hold."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Callable

from ...exceptions import ChannelLayerUnavailable
from ...types import Content, Received
from .commands import Command, Commands, Steps
from .entries import Buffer, Delivery, Entry
from .outage import Outage
from .pops import Pops
from .server import Clock, LoopServer, Server

logger = logging.getLogger("django.channels")

#: Seconds between two announcements of a process that receives.
ANNOUNCE_SECONDS = 10.0


class Receiver:
    """The receiving side of a layer, for threads and for event loops."""

    def __init__(
        self, server: Server, commands: Commands, decode: Callable[[bytes], Content]
    ) -> None:
        self._server = server
        self._commands = commands
        self._decode = decode
        self._clock = Clock()
        self._outage = Outage(server.address)
        self._buffer = Buffer()
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, InLoop]
        self._loops = weakref.WeakKeyDictionary()
        self._loops_lock = threading.Lock()
        self._announced: dict[str, float] = {}

    def forget(self) -> None:
        """Drop what is known and what is buffered, after a flush or in a forked child.

        Connections of the parent's event loops are left as they are: closing them would also
        end the parent's use of them.
        """
        self._buffer.clear()
        self._announced.clear()
        self._clock.unset()
        self._outage.reset()
        self._loops_lock = threading.Lock()

    def look(self, names: list[str]) -> Received:
        """A message that is there already; raises ``ChannelLayerUnavailable``."""
        if delivery := self._buffer.take(names):
            return self._read(delivery)
        entry = self._server.drive(self._look(names))
        return self._hand_out(entry) if entry else (None, None)

    def wait(self, names: list[str]) -> Received:
        """A message, as soon as there is one."""
        if delivery := self._buffer.take(names):
            return self._read(delivery)
        try:
            entry = self._server.drive(self._pop(names))
        except ChannelLayerUnavailable as error:
            time.sleep(self._note_failure(error))
            return None, None
        return self._hand_out(entry) if entry else (None, None)

    async def wait_async(self, names: list[str]) -> Received:
        """The same as ``wait``; if this is cancelled, no message is lost."""
        await asyncio.sleep(0)  # so that a large buffer does not hold up the loop
        if delivery := self._buffer.take(names):
            return self._read(delivery)
        entry = await self.in_loop().pops.take(names)
        return self._hand_out(entry) if entry else (None, None)

    def in_loop(self) -> InLoop:
        """What belongs to the running event loop."""
        loop = asyncio.get_running_loop()
        with self._loops_lock:
            for other in [other for other in self._loops if other.is_closed()]:
                del self._loops[other]
            if loop not in self._loops:
                self._loops[loop] = InLoop(self, self._server.for_loop())
            return self._loops[loop]

    def close_loops(self) -> None:
        """Ask the event loops that run to close their connections."""
        with self._loops_lock:
            loops = dict(self._loops)
        for loop, in_loop in loops.items():
            if loop.is_running():
                asyncio.run_coroutine_threadsafe(in_loop.close(), loop)

    async def close_loop(self) -> None:
        """Close the connections of the running event loop."""
        await self.in_loop().close()

    def drop_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._loops_lock:
            self._loops.pop(loop, None)

    async def pop_async(self, server: LoopServer, names: list[str]) -> Entry | None:
        """What ``_pop`` does, pauses while Redis is away included."""
        try:
            return await server.drive(self._pop(names))
        except ChannelLayerUnavailable as error:
            await asyncio.sleep(self._note_failure(error))
            return None

    def _prepare(self, names: list[str]) -> Steps[None]:
        """Announce the processes among ``names`` and learn the server's time, now and then."""
        now = time.monotonic()
        for name in names:
            if name.endswith("!") and self._announced.get(name, float("-inf")) <= now:
                self._announced[name] = now + ANNOUNCE_SECONDS
                yield self._commands.announce(name)
        if not self._clock.is_set():
            asked_at = time.monotonic()
            self._clock.set(asked_at, (yield Command("TIME")))

    def _look(self, names: list[str]) -> Steps[Entry | None]:
        yield from self._prepare(names)
        found = yield self._commands.receive(_rotated(names))
        return Entry(found[0].decode(), found[1]) if found else None

    def _pop(self, names: list[str]) -> Steps[Entry | None]:
        yield from self._prepare(names)
        end = time.monotonic() + self._server.block_seconds
        while (seconds := end - time.monotonic()) > 0:
            found = yield self._commands.block(_rotated(names), seconds)
            self._outage.end()
            if found is None:
                break
            entry = Entry(self._commands.owner_of(found[0]), found[1])
            if not self._has_expired(entry):
                return entry
            if not entry.owner.endswith("!"):
                yield self._commands.leave_all(entry.owner)
        return None

    def give_back(self, entry: Entry) -> None:
        """Put an entry back at the front of its queue."""
        try:
            self._server.run(self._commands.give_back(entry.owner, entry.data))
        except ChannelLayerUnavailable:
            logger.exception("A message for %s of a cancelled receive is lost", entry.owner)

    def _note_failure(self, error: ChannelLayerUnavailable) -> float:
        """Log an outage, once; returns the seconds to pause. Afterwards all is made anew."""
        self._clock.unset()
        self._announced.clear()
        return self._outage.report(error)

    def _has_expired(self, entry: Entry) -> bool:
        try:
            return entry.expires() <= self._clock.now()
        except ValueError:
            return False

    def _hand_out(self, entry: Entry) -> Received:
        """The first message of an entry; others are buffered."""
        try:
            time_left = (entry.expires() - self._clock.now()) / 1000
            first, *rest = entry.deliveries(time.monotonic() + time_left)
        except ValueError as error:
            return _log_unreadable(entry.owner, error)
        if rest:
            self._buffer.put(entry.owner, rest)
        return self._read(first)

    def _read(self, delivery: Delivery) -> Received:
        try:
            return delivery.channel, self._decode(delivery.message)
        except ValueError as error:
            return _log_unreadable(delivery.channel, error)


class InLoop:
    """What belongs to one event loop: connections, and the pops that run in it.

    All of it goes when the loop ends, as loops close their asynchronous generators then.
    """

    def __init__(self, receiver: Receiver, server: LoopServer) -> None:
        self.server = server
        self.pops = Pops(lambda names: receiver.pop_async(server, names), receiver.give_back)
        self._end = self._at_end(receiver)
        # Only a generator that has been started is known to its loop.
        with contextlib.suppress(StopIteration):
            self._end.__anext__().__await__().send(None)

    async def close(self) -> None:
        await self.pops.finish()
        await self.server.close()

    async def _at_end(self, receiver: Receiver) -> AsyncGenerator[None, None]:
        loop = asyncio.get_running_loop()
        try:
            yield
        finally:
            receiver.drop_loop(loop)
            await self.close()


def _rotated(names: list[str]) -> list[str]:
    """The same names, from a random one on, so that none is served last for ever."""
    start = random.randrange(len(names)) if len(names) > 1 else 0
    return names[start:] + names[:start]


def _log_unreadable(channel: str, error: ValueError) -> Received:
    logger.error("A message to %s is lost, as it cannot be read: %s", channel, error)
    return None, None
