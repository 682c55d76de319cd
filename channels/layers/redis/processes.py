"""What a layer knows and does for the processes whose queues it reads."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from .commands import JOURNAL_SECONDS, RECORDS_AT_ONCE, Command, batches, is_process, milliseconds
from .driver import Request, Steps, all_of, ask
from .memberships import Memberships, parse_place
from .shards import Shards

#: Seconds between two announcements of a process that receives; within so many, it finds out
#: that Redis has lost its memberships.
ANNOUNCE_SECONDS = 2.0

#: Sockets in one command, when memberships are put back or prolonged.
SOCKETS_AT_ONCE = 500


class Process:
    """One process that is read for: its memberships, and when they were last read."""

    def __init__(self, owner: str) -> None:
        self.memberships = Memberships(owner, milliseconds(JOURNAL_SECONDS))
        self.due_at = float("-inf")
        self.read_at: float | None = None
        self.may_be_lost = False


class Processes:
    """All processes whose queues a layer reads: mostly one, under two names."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._known: dict[str, Process] = {}

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
        commands = self._shards[number].commands
        process = self._process(owner)
        process.due_at = time.monotonic() + ANNOUNCE_SECONDS
        known, groups, flushed, dead = yield from ask(number, commands.announce(owner))
        is_up_to_date = self._is_up_to_date(process)
        if is_up_to_date:
            yield from self._catch_up(number, process)
            process.may_be_lost |= self._has_more(number, process, groups)
        # After a flush nothing is lost, and for as long as it may still go on: what it has left
        # counts.
        has_lost = not flushed and (process.may_be_lost or not known)
        if process.read_at is not None and has_lost:
            yield from self._restore(number, process)
        if not is_up_to_date or flushed:
            yield from self._load(number, process)
        process.may_be_lost = False
        for name in dead:
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
        elif parse_place(process.memberships.place) < parse_place(place):
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
        clock = self._shards[number].clock
        if not clock.is_set():
            asked_at = time.monotonic()
            clock.set(asked_at, (yield from ask(number, Command("TIME"))))

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

    def _has_more(self, number: int, process: Process, groups: int) -> bool:
        """Whether a process knows of more groups than Redis."""
        now = self._now(number)
        return process.memberships.size() > groups and process.memberships.count(now) > groups

    def _load(self, number: int, process: Process) -> Steps[None]:
        """Take the memberships over from Redis, whatever is known of them here."""
        commands = self._shards[number].commands
        owner = process.memberships.owner
        read_at = time.monotonic()
        groups: list[str] = []
        while not (found := (yield from ask(number, commands.snapshot(owner, groups)))):
            names = yield from ask(number, commands.groups_of(owner))
            groups = [name.decode() for name in names]
        process.memberships.load(groups, *found)
        process.read_at = read_at

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
        requests: list[Request] = []
        for group, sockets in process.memberships.groups(self._now(number)).items():
            for part in batches(sockets, SOCKETS_AT_ONCE):
                requests.append(Request(number, commands.restore(group, owner, place, part)))
            home = self._shards.home(group)
            requests.append(Request(home, self._shards[home].commands.enlist(group, owner)))
        yield from all_of(requests)

    def _bury(self, number: int, owner: str) -> Steps[None]:
        commands = self._shards[number].commands
        groups = [name.decode() for name in (yield from ask(number, commands.groups_of(owner)))]
        homes = [(self._shards.home(group), group) for group in groups]
        scores = yield from all_of(
            [Request(at, self._shards[at].commands.score(group, owner)) for at, group in homes]
        )
        yield from all_of([Request(number, command) for command in commands.bury(owner, groups)])
        yield from all_of(
            [
                Request(at, self._shards[at].commands.strike(group, owner, score))
                for (at, group), score in zip(homes, scores, strict=True)
                if score
            ]
        )
