"""What a layer knows and does for the processes whose queues it reads."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from ...exceptions import ChannelLayerUnavailable
from .command import Command
from .commands import JOURNAL_SECONDS, RECORDS_AT_ONCE, batches, is_process, milliseconds
from .memberships import Memberships
from .shards import Shards
from .steps import Request, Steps, all_of, ask

#: Seconds between two announcements of a process that receives; within so many, it finds out
#: that Redis has lost its memberships.
ANNOUNCE_SECONDS = 2.0

#: Sockets in one command, when memberships are put back or prolonged.
SOCKETS_AT_ONCE = 500

#: A shard that fails is left alone for so many times the seconds that the failure took.
REST = 30

#: What an announcement finds: a process that was not known (any more), or counted as dead, or
#: was known to live.
UNKNOWN, LATE, ALIVE = range(3)


class Presence(NamedTuple):
    """The answer to an announcement, see ``announce.lua``."""

    state: int
    groups: int
    flushed: int
    dead: list[bytes]


class Process:
    """One process that is read for: its memberships, and when they were last read."""

    def __init__(self, owner: str) -> None:
        self.memberships = Memberships(owner, milliseconds(JOURNAL_SECONDS))
        self.due_at = float("-inf")
        self.read_at: float | None = None
        #: Its shard has failed, and may have lost memberships; and it surely has lost some.
        self.may_be_lost = self.is_lost = False
        #: It has, or had, members in groups of any shard, which is told that it lives.
        self.is_elsewhere = False
        #: Shards whose groups may have forgotten that the process has members there.
        self.unlisted: set[int] = set()


class Processes:
    """All processes whose queues a layer reads: mostly one, under two names."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._known: dict[str, Process] = {}
        self._rests_until: dict[int, float] = {}

    def forget(self) -> None:
        self._known.clear()

    def due(self, owners: Iterable[str]) -> list[str]:
        """Which of ``owners`` are processes that should announce themselves."""
        due = []
        for owner in owners:
            if is_process(owner):
                process = self._known.get(owner)
                if process is None or process.due_at <= time.monotonic():
                    due.append(owner)
        return due

    def suspect_loss(self, number: int) -> None:
        """After a failure of a shard: it may have lost what it knew."""
        for owner, process in list(self._known.items()):
            if self._shards.home(owner) == number:
                process.due_at = float("-inf")
                process.may_be_lost = True

    def announce(self, number: int, owner: str) -> Steps[None]:
        """Say that a process lives, see to its memberships, and bury some that are dead."""
        yield from self.know_time(number)
        process = self._process(owner)
        process.due_at = time.monotonic() + ANNOUNCE_SECONDS
        commands = self._shards[number].commands
        place = process.memberships.place
        # Both at once, as a change in between would look like a loss.
        answer, journal = yield from all_of(
            [
                Request(number, commands.announce(owner)),
                Request(number, commands.changes(owner, place)),
            ]
        )
        presence = Presence(*answer)
        yield from self._judge(number, process, presence, journal)
        yield from self._mend(number, process, presence)
        yield from self._announce_elsewhere(number, process)
        for name in presence.dead:
            yield from self._bury(number, name.decode())

    def places(self, owners: Iterable[str]) -> dict[str, str]:
        """Up to where the journals of those of ``owners`` were read that are processes."""
        return {
            owner: self._process(owner).memberships.place for owner in owners if is_process(owner)
        }

    def read(self, owner: str, journal: list[Any]) -> None:
        """Take over what was recorded for a process since its journal was read."""
        process = self._process(owner)
        if self._is_up_to_date(process):
            number = self._shards.home(owner)
            process.memberships.read(journal, self._now(number))
            if len(journal) < RECORDS_AT_ONCE:
                process.read_at = time.monotonic()

    def members(self, number: int, owner: str, group: str, place: str) -> Steps[list[str]]:
        """The channels of a process that belonged to ``group`` at a place of its journal."""
        yield from self.know_time(number)
        process = self._process(owner)
        if not self._is_up_to_date(process):
            yield from self._load(number, process)
        elif not process.memberships.has_read(place):
            yield from self._catch_up(number, process)
        return process.memberships.members(group, place, self._now(number))

    def groups(self, number: int, owner: str) -> Steps[dict[str, list[tuple[str, float]]]]:
        """The groups of a process, with their sockets and when these lapse."""
        yield from self.know_time(number)
        process = self._process(owner)
        if self._is_up_to_date(process):
            yield from self._catch_up(number, process)
        else:
            yield from self._load(number, process)
        return process.memberships.groups(self._now(number))

    def know_time(self, number: int) -> Steps[None]:
        """Ask a server for its time, unless that is known."""
        shard = self._shards[number]
        if not shard.knows_time():
            asked_at = time.monotonic()
            shard.set_time(asked_at, (yield from ask(number, Command("TIME"))))

    def _process(self, owner: str) -> Process:
        process = self._known.get(owner)
        if process is None:
            process = self._known.setdefault(owner, Process(owner))
        return process

    def _now(self, number: int) -> float:
        return self._shards[number].clock.now()

    def _is_up_to_date(self, process: Process) -> bool:
        """Whether the journal still has everything since it was read."""
        read_at = process.read_at
        return read_at is not None and time.monotonic() - read_at < JOURNAL_SECONDS / 2

    def _judge(
        self, number: int, process: Process, presence: Presence, journal: list[Any]
    ) -> Steps[None]:
        """Find out whether Redis has lost memberships that are known here.

        What is missing there may also have been ended while nobody read about it here, but that
        leaves the rest as it was.
        """
        owner, was_read = process.memberships.owner, process.read_at is not None
        if self._is_up_to_date(process):
            self.read(owner, journal)
            is_at_end = len(journal) < RECORDS_AT_ONCE
            process.is_lost |= is_at_end and self._has_more(number, process, presence)
        if process.may_be_lost:
            # A replica took over, perhaps, that had not heard everything.
            place, *_ = yield from ask(number, self._shards[number].commands.snapshot(owner, []))
            process.is_lost |= process.memberships.is_ahead_of(place)
        process.is_lost |= was_read and presence.state == UNKNOWN
        process.is_lost &= not presence.flushed

    def _has_more(self, number: int, process: Process, presence: Presence) -> bool:
        """Whether a process knows of more groups than Redis."""
        memberships, groups = process.memberships, presence.groups
        return memberships.size() > groups and memberships.count(self._now(number)) > groups

    def _mend(self, number: int, process: Process, presence: Presence) -> Steps[None]:
        """Put back what is lost, and take over what is not known here."""
        if presence.state == LATE or process.is_lost:
            process.unlisted.update(range(len(self._shards)))
        # A flush may still go on: for so long, what it has left counts.
        anew = bool(process.is_lost or presence.flushed)
        if process.is_lost:
            yield from self._restore(number, process)
        if anew or not self._is_up_to_date(process):
            yield from self._load(number, process, anew)
        process.is_lost = process.may_be_lost = False
        yield from self._enlist(number, process)

    def _announce_elsewhere(self, number: int, process: Process) -> Steps[None]:
        """Find out whether other shards have lost what groups know of a process."""
        process.is_elsewhere |= process.memberships.size() > 0
        if not process.is_elsewhere:
            return
        owner = process.memberships.owner
        for other in range(len(self._shards)):
            if other == number:
                continue
            request = Request(other, self._shards[other].commands.announce(owner))
            answers = yield from self._try(other, [request])
            if answers is None:
                # When it is back, it may have lost something but remember the process.
                process.unlisted.add(other)
                continue
            presence = Presence(*answers[0])
            if presence.state == UNKNOWN and not presence.flushed:
                process.unlisted.add(other)
            yield from self._enlist(other, process)
            for name in presence.dead:
                yield from self._try(other, self._burial(other, name.decode(), []))

    def _try(self, number: int, requests: list[Request]) -> Steps[list[Any] | None]:
        """The answers of a shard, or nothing: it must not keep others from receiving."""
        begun = time.monotonic()
        if self._rests_until.get(number, begun) > begun:
            return None
        try:
            return (yield from all_of(requests))
        except ChannelLayerUnavailable:
            failed = time.monotonic()
            self._rests_until[number] = failed + (failed - begun) * REST
            return None

    def _load(self, number: int, process: Process, anew: bool = False) -> Steps[None]:
        """Take the memberships over from Redis, with ``anew`` whatever is known of them here."""
        commands = self._shards[number].commands
        owner = process.memberships.owner
        asked_at = time.monotonic()
        groups: list[str] = []
        while len(found := (yield from ask(number, commands.snapshot(owner, groups)))) == 1:
            names = yield from ask(number, commands.groups_of(owner))
            groups = [name.decode() for name in names]
        # Another reader may have got further meanwhile.
        if anew or not self._is_up_to_date(process):
            process.memberships.load(groups, *found)
            process.read_at = asked_at

    def _catch_up(self, number: int, process: Process) -> Steps[None]:
        """Read the journal to its end."""
        owner = process.memberships.owner
        while True:
            read_at = time.monotonic()
            place = process.memberships.place
            journal = yield from ask(number, self._shards[number].commands.changes(owner, place))
            process.memberships.read(journal, self._now(number))
            if len(journal) < RECORDS_AT_ONCE:
                process.read_at = read_at
                return

    def _restore(self, number: int, process: Process) -> Steps[None]:
        """Put the memberships back that Redis has lost."""
        owner, place = process.memberships.owner, process.memberships.place
        commands = self._shards[number].commands
        yield from all_of(
            [
                Request(number, commands.restore(group, owner, place, part))
                for group, sockets in process.memberships.groups(self._now(number)).items()
                for part in batches(sockets, SOCKETS_AT_ONCE)
            ]
        )

    def _enlist(self, home: int, process: Process) -> Steps[None]:
        """Tell the groups of a shard that a process has members there, if they may not know.

        Only after Redis knows the members, or else a send would find that there are none.
        """
        if home not in process.unlisted:
            return
        commands, memberships = self._shards[home].commands, process.memberships
        groups = memberships.groups(self._now(self._shards.home(memberships.owner)))
        requests = [
            Request(home, commands.enlist(group, memberships.owner))
            for group in groups
            if self._shards.home(group) == home
        ]
        if (yield from self._try(home, requests)) is not None:
            process.unlisted.discard(home)

    def _bury(self, number: int, owner: str) -> Steps[None]:
        """Remove what belongs to a dead process, also its name where it had members."""
        commands = self._shards[number].commands
        by_home: dict[int, list[str]] = {}
        for name in (yield from ask(number, commands.groups_of(owner))):
            group = name.decode()
            by_home.setdefault(self._shards.home(group), []).append(group)
        scores: dict[int, list[Any]] = {}
        for home, groups in by_home.items():
            asked = [self._shards[home].commands.score(group, owner) for group in groups]
            answers = yield from self._try(home, [Request(home, command) for command in asked])
            scores[home] = answers or []
        everything = [group for groups in by_home.values() for group in groups]
        *_, is_buried = yield from all_of(self._burial(number, owner, everything))
        if not is_buried:
            return
        for home, groups in by_home.items():
            commands = self._shards[home].commands
            strikes = [
                Request(home, commands.strike(group, owner, score))
                for group, score in zip(groups, scores[home], strict=False)
                if score
            ]
            yield from self._try(home, strikes)

    def _burial(self, number: int, owner: str, groups: list[str]) -> list[Request]:
        commands = self._shards[number].commands.bury(owner, groups)
        return [Request(number, command) for command in commands]
