"""Who belongs to the groups of a process, now and at each moment of the last minutes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from .commands import pairs

JOINED, LEFT = "+", "-"

#: A place in a journal, as texts and as what can be compared.
Place = tuple[int, int]
START = "0-0"

#: The number in a place where there was no record any more: see ``place_in`` in ``common.lua``.
NO_RECORD = 2**64 - 1


def parse_place(text: str | bytes) -> Place:
    time, number = (text.decode() if isinstance(text, bytes) else text).split("-")
    return int(time), int(number)


class Change(NamedTuple):
    """A record of a journal, see ``common.lua``; times in milliseconds."""

    place: Place
    kind: str
    group: str
    channel: str
    lapses: float


class Memberships:
    """The groups of the process ``owner``, kept by reading its journal; safe with threads.

    A group's message says up to which place of the journal it counts, so what was read of the
    journal since is undone for it.
    """

    def __init__(self, owner: str, retention: float) -> None:
        """``retention``: milliseconds for which messages may refer to a place of the journal."""
        self.owner = owner
        self.place = START
        self._retention = retention
        self._groups: dict[str, dict[str, float]] = {}
        self._recent: deque[Change] = deque()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Memberships of {self.owner}: {len(self._groups)} groups>"

    def load(
        self,
        groups: Sequence[str],
        place: bytes,
        sockets: list[list[bytes]],
        journal: list[Any],
    ) -> None:
        """Take over a snapshot, at a place in the journal that led to it."""
        with self._lock:
            self._groups = {
                group: {self.owner + name.decode(): float(lapses) for name, lapses in pairs(found)}
                for group, found in zip(groups, sockets, strict=True)
            }
            self._recent = deque(map(self._parse, journal))
            self.place = place.decode()

    def read(self, journal: list[Any], now: float) -> None:
        """Take over what the journal says beyond ``place``."""
        with self._lock:
            self._forget_before(now - self._retention)
            if not journal:
                return
            known = parse_place(self.place)
            for change in map(self._parse, journal):
                if change.place > known:
                    self._apply(change)
            self.place = max(self.place, journal[-1][0].decode(), key=parse_place)

    def has_read(self, place: str) -> bool:
        """Whether the journal was read up to ``place``, by one who has read it of late.

        Then it has also read what there was before a place without any record.
        """
        time, number = parse_place(place)
        return number == NO_RECORD or (time, number) <= parse_place(self.place)

    def is_ahead_of(self, place: bytes) -> bool:
        """Whether more was read than there is in a journal that ends at ``place``."""
        return parse_place(place) < parse_place(self.place)

    def members(self, group: str, place: str, now: float) -> list[str]:
        """The channels that belonged to ``group`` at a place of the journal."""
        with self._lock:
            self._drop_lapsed(group, now)
            current = self._groups.get(group, {})
            later = list(self._later(group, parse_place(place)))
            past = dict(current) if later else current
            for change in later:
                if change.kind == JOINED:
                    past.pop(change.channel, None)
                elif change.kind == LEFT:
                    past[change.channel] = change.lapses
            return [channel for channel, lapses in past.items() if lapses > now]

    def groups(self, now: float) -> dict[str, list[tuple[str, float]]]:
        """What there is to restore: for each group its sockets, and when they lapse."""
        start = len(self.owner)
        with self._lock:
            for group in list(self._groups):
                self._drop_lapsed(group, now)
            return {
                group: [(channel[start:], lapses) for channel, lapses in members.items()]
                for group, members in self._groups.items()
            }

    def size(self) -> int:
        """In how many groups the process is, at the most."""
        return len(self._groups)

    def count(self, now: float) -> int:
        """In how many groups the process is."""
        with self._lock:
            for group in list(self._groups):
                self._drop_lapsed(group, now)
            return len(self._groups)

    def _parse(self, record: Any) -> Change:
        kind, group, socket, lapses = record[1][1].decode().split(" ")
        return Change(parse_place(record[0]), kind, group, self.owner + socket, float(lapses))

    def _apply(self, change: Change) -> None:
        self._recent.append(change)
        self._drop_lapsed(change.group, change.place[0])
        members = self._groups.setdefault(change.group, {})
        # Whoever joins again moves to the end, so that the first ones lapse first.
        members.pop(change.channel, None)
        if change.kind != LEFT:
            members[change.channel] = change.lapses
        if not members:
            del self._groups[change.group]

    def _later(self, group: str, place: Place) -> Iterator[Change]:
        """The changes of ``group`` after ``place``, the newest first."""
        for change in reversed(self._recent):
            if change.place <= place:
                return
            if change.group == group:
                yield change

    def _forget_before(self, time: float) -> None:
        while self._recent and self._recent[0].place[0] < time:
            self._recent.popleft()

    def _drop_lapsed(self, group: str, now: float) -> None:
        members = self._groups.get(group)
        while members and (first := next(iter(members))) and members[first] <= now:
            del members[first]
        if members is not None and not members:
            del self._groups[group]
