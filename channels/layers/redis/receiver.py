"""The receiving side of a layer: taking entries off Redis, and handing out what they hold."""

from __future__ import annotations

import logging
import math
import random
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from ...exceptions import ChannelLayerUnavailable
from ...types import Content, Received
from .commands import is_process
from .entries import Buffer, Delivery, Entry
from .processes import Processes
from .shards import Shards, is_spread
from .steps import Race, Request, Steps, ask

logger = logging.getLogger("django.channels")

#: Entries of each of its queues that a process takes at once.
BATCH = 100

NOTHING: Received = (None, None)

Item = TypeVar("Item")


class Taken(NamedTuple):
    """What a wait came to: the answers to what was said before it, and what it brought.

    It ``failed`` if there was no server to wait for.
    """

    answers: list[Any]
    entries: list[Entry]
    failed: bool = False


class Receiver:
    """Says what is to be said to receive messages.

    ``block_seconds`` is how long a wait takes at the most, ``decode`` reads a message.
    """

    def __init__(
        self, shards: Shards, block_seconds: float, decode: Callable[[bytes], Content]
    ) -> None:
        self._shards = shards
        self._block_seconds = block_seconds
        self._decode = decode
        self.processes = Processes(shards)
        self.buffer = Buffer()

    def forget(self) -> None:
        """Drop what is known and what is buffered, after a flush or in a forked child."""
        self.buffer.clear()
        self.processes.forget()
        for number in range(len(self._shards)):
            self._shards[number].clock.unset()
            self._shards[number].outage.reset()

    def look(self, names: list[str]) -> Steps[Received]:
        """A message that is there already; raises ``ChannelLayerUnavailable``."""
        received = yield from self.hand_out(names)
        failure = None
        plan = self._shards.to_receive(names)
        for number in _rotated(list(plan)):
            if received[0] is not None:
                break
            yield from self._prepare({number: plan[number]})
            try:
                self.buffer.put((yield from self._look_at(number, plan[number])))
                received = yield from self.hand_out(names)
            except ChannelLayerUnavailable as error:
                failure = error
        if failure and received[0] is None:
            raise failure
        return received

    def receive(self, names: list[str]) -> Steps[Received | None]:
        """Wait for a message; ``None`` if no server can be waited for."""
        received, _ = yield from self.say_and_receive((), names)
        return received

    def say_and_receive(
        self, said: Sequence[Request], names: list[str]
    ) -> Steps[tuple[Received | None, list[Any]]]:
        """Say ``said``, and wait for a message as well; returns also the answers."""
        received = yield from self.hand_out(names)
        if received[0] is not None:
            return received, (yield said) if said else []
        taken = yield from self.wait(names, said)
        if taken.entries:
            first, *others = taken.entries
            self.buffer.put(others)
            received = yield from self._hand_over(first.owner, first)
            if received[0] is None:
                received = yield from self.hand_out(names)
        return None if taken.failed and received[0] is None else received, taken.answers

    def wait(
        self, names: list[str], said: Sequence[Request] = (), batch: bool = False
    ) -> Steps[Taken]:
        """Say ``said``, and wait for entries; for a process's queues ``batch`` takes many."""
        plan = self._shards.to_receive(names)
        answers: list[Any] = []
        if not self._is_prepared(plan):
            if said:
                answers, said = (yield said), ()
            yield from self._prepare(plan)
            if all(self._shards[number].outage.pause() for number in plan):
                return Taken(answers, [], failed=True)
        if len(plan) > 1:
            if said:
                answers, said = (yield said), ()
            taken = yield from self._wait_on_several(plan)
        else:
            [(number, owners)] = plan.items()
            taken = yield from self._wait_on_one(number, owners, said, batch)
        return taken._replace(answers=answers) if answers else taken

    def hand_out(self, names: list[str]) -> Steps[Received]:
        """One message of what is in the buffer."""
        if self.buffer.is_empty():
            return NOTHING
        while found := self.buffer.take(names):
            received = yield from self._hand_over(*found)
            if received[0] is not None:
                return received
        return NOTHING

    def _hand_over(self, owner: str, item: Entry | Delivery) -> Steps[Received]:
        """The message for the first channel of ``item``; the buffer keeps it for the others."""
        delivery = yield from self._open(owner, item)
        if delivery is None or not delivery.channels:
            return NOTHING
        channel = delivery.channels.pop(0)
        if delivery.channels:
            self.buffer.put_back(owner, delivery)
        message = self._read(channel, delivery.message)
        return NOTHING if message is None else (channel, message)

    def hand_out_all(self, names: list[str]) -> Steps[list[tuple[list[str], Content]]]:
        """Everything that is in the buffer, up to what cannot be opened just now."""
        opened: list[tuple[str, Delivery]] = []
        try:
            while found := self.buffer.take(names):
                delivery = yield from self._open(*found)
                if delivery and delivery.channels:
                    opened.append((found[0], delivery))
        except ChannelLayerUnavailable:
            if not opened:
                raise
        except BaseException:
            for owner, delivery in reversed(opened):
                self.buffer.put_back(owner, delivery)
            raise
        batch = []
        for owner, delivery in opened:
            message = self._read(owner, delivery.message)
            if message is not None:
                batch.append((delivery.channels, message))
        return batch

    def give_back(self, entries: Sequence[Entry]) -> Steps[None]:
        """Put entries back at the front of their queues."""
        queues: dict[tuple[int, str], list[bytes]] = {}
        for entry in entries:
            queues.setdefault((entry.shard, entry.owner), []).append(entry.data)
        answers = yield [
            Request(number, self._shards[number].commands.give_back(owner, found))
            for (number, owner), found in queues.items()
        ]
        for (_, owner), answer in zip(queues, answers, strict=True):
            if isinstance(answer, Exception):
                logger.error(
                    "A message for %s of a cancelled receive is lost", owner, exc_info=answer
                )

    def pause(self, names: list[str]) -> float:
        """Seconds to wait before the next attempt, after all servers of ``names`` failed."""
        plan = self._shards.to_receive(names)
        return min(self._shards[number].outage.pause() for number in plan)

    def _is_prepared(self, plan: dict[int, list[str]]) -> bool:
        for number, owners in plan.items():
            if self.processes.due(owners) or not self._shards[number].knows_time():
                return False
        return True

    def _prepare(self, plan: dict[int, list[str]]) -> Steps[None]:
        """Learn the servers' time, and do what is due for the processes, now and then.

        A server that has just failed is left alone: others have messages meanwhile.
        """
        for number, owners in plan.items():
            if self._shards[number].outage.pause():
                continue
            try:
                yield from self.processes.know_time(number)
                for owner in self.processes.due(owners):
                    yield from self.processes.announce(number, owner)
            except ChannelLayerUnavailable as error:
                self._note_failure(number, error)

    def _wait_on_one(
        self, number: int, owners: list[str], said: Sequence[Request], batch: bool
    ) -> Steps[Taken]:
        shard, answers = self._shards[number], []
        end = time.monotonic() + self._block_seconds
        while (seconds := end - time.monotonic()) > 0 or said:
            requests = [*said, Request(number, shard.commands.block(_rotated(owners), seconds))]
            if places := self.processes.places(owners):
                drain = shard.commands.drain(places, BATCH if batch else 0)
                requests.append(Request(number, drain))
            heard = yield requests
            answers += heard[: len(said)]
            found, *drained = heard[len(said) :]
            if isinstance(found, ChannelLayerUnavailable):
                self._note_failure(number, found)
                return Taken(answers, [], failed=True)
            if shard.outage.is_on() and self._is_prepared({number: owners}):
                shard.outage.end()
            entries = [self._popped(number, found)] if found else []
            if entries and self._has_expired(entries[0]):
                entries = yield from self._unexpired(entries)
            for answer in drained:
                entries += self._take_over(number, places, answer)
            if entries or not found:
                return Taken(answers, entries)
            said = ()
        return Taken(answers, [])

    def _take_over(self, number: int, owners: Iterable[str], drained: Any) -> list[Entry]:
        """What the answer to ``drain`` holds, which follows that of a blocking command."""
        if isinstance(drained, Exception):
            return []
        entries = []
        for owner, (found, journal) in zip(owners, drained, strict=True):
            entries += [Entry(number, owner, data) for data in found]
            self.processes.read(owner, journal)
        return [entry for entry in entries if not self._has_expired(entry)]

    def _wait_on_several(self, plan: dict[int, list[str]]) -> Steps[Taken]:
        """Look at each server, then wait on all of them, leaving out those that are away."""
        end = time.monotonic() + self._block_seconds
        while live := [n for n in _rotated(list(plan)) if not self._shards[n].outage.pause()]:
            for number in live:
                try:
                    entries = yield from self._look_at(number, plan[number])
                except ChannelLayerUnavailable as error:
                    self._note_failure(number, error)
                    continue
                self._shards[number].outage.end()
                if entries:
                    return Taken([], entries)
            seconds = end - time.monotonic()
            live = [number for number in live if not self._shards[number].outage.is_on()]
            if seconds <= 0 or not live:
                break
            entries = yield from self._race({number: plan[number] for number in live}, seconds)
            if entries:
                return Taken([], entries)
        return Taken([], [], failed=not live)

    def _race(self, plan: dict[int, list[str]], seconds: float) -> Steps[list[Entry]]:
        """Wait on several servers; what the others bring along with the first goes back."""
        requests, bells = [], []
        for number, owners in plan.items():
            commands, bell = self._shards[number].commands, secrets.token_hex(8)
            requests.append(Request(number, commands.block(_rotated(owners), seconds, bell)))
            bells.append([Request(number, command) for command in commands.ring(bell)])
        found = []
        for number, answer in zip(plan, (yield Race(requests, bells)), strict=True):
            if isinstance(answer, ChannelLayerUnavailable):
                self._note_failure(number, answer)
            elif answer and not self._shards[number].commands.is_bell(answer[0]):
                found.append(self._popped(number, answer))
        entries = yield from self._unexpired(found)
        surplus = [entry for entry in entries[1:] if is_spread(entry.owner)]
        if surplus:
            yield from self.give_back(surplus)
        return [entry for entry in entries if entry not in surplus]

    def _look_at(self, number: int, owners: list[str]) -> Steps[list[Entry]]:
        order = _rotated(owners)
        found = yield from ask(number, self._shards[number].commands.receive(order))
        return [Entry(number, order[found[0] - 1], found[1])] if found else []

    def _popped(self, number: int, found: list[bytes]) -> Entry:
        return Entry(number, self._shards[number].commands.owner_of(found[0]), found[1])

    def _unexpired(self, entries: list[Entry]) -> Steps[list[Entry]]:
        """Who lets a message expire leaves all groups; a process is alive while it reads.

        The server is asked for its time before, as its clock may have been set, or it may be
        another server.
        """
        if suspects := {entry.shard for entry in entries if self._has_expired(entry)}:
            for number in suspects:
                self._shards[number].clock.unset()
                yield from self.processes.know_time(number)
        expired = [entry for entry in entries if self._has_expired(entry)]
        gone = [entry for entry in expired if not is_process(entry.owner)]
        if gone:
            yield [
                Request(number, self._shards[number].commands.end_memberships(owner))
                for number, owner, _ in gone
            ]
        return [entry for entry in entries if entry not in expired]

    def _note_failure(self, number: int, error: ChannelLayerUnavailable) -> None:
        """Afterwards everything is asked for anew: it may be another server, or an empty one."""
        self._shards[number].clock.unset()
        self._shards[number].outage.report(error)
        self.processes.suspect_loss(number)

    def _has_expired(self, entry: Entry) -> bool:
        try:
            return entry.expires() <= self._shards[entry.shard].clock.now()
        except ValueError:
            return False

    def _open(self, owner: str, item: Entry | Delivery) -> Steps[Delivery | None]:
        """What an entry holds, and for whom; it stays in the buffer if that cannot be told."""
        if isinstance(item, Delivery):
            return item
        try:
            expires = item.expires()
            target, message = item.open()
            if not target.startswith("@"):
                return Delivery(math.inf, [owner + target], message)
            group, place = target[1:].split(" ")
            channels = yield from self.processes.members(item.shard, owner, group, place)
            seconds = (expires - self._shards[item.shard].clock.now()) / 1000
            return Delivery(time.monotonic() + seconds, channels, message)
        except ValueError as error:
            _log_unreadable(owner, error)
            return None
        except BaseException:
            self.buffer.put_back(owner, item)
            raise

    def _read(self, channel: str, message: bytes) -> Content | None:
        try:
            return self._decode(message)
        except ValueError as error:
            _log_unreadable(channel, error)
            return None


def _rotated(items: list[Item]) -> list[Item]:
    """The same items, from a random one on, so that none is served last for ever."""
    start = random.randrange(len(items)) if len(items) > 1 else 0
    return items[start:] + items[:start]


def _log_unreadable(channel: str, error: ValueError) -> None:
    logger.error("A message to %s is lost, as it cannot be read: %s", channel, error)
