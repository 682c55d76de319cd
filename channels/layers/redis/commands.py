"""What is said to Redis: how the keys and arguments of commands are made.

Nothing here does any I/O, so that it serves blocking and asyncio connections, one command at
a time or several in a pipeline.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ..names import statistics_name
from . import scripts
from .command import Argument, Command, Template
from .runs import Run

Item = TypeVar("Item")

#: Seconds for which the queue of a group's member outlives its messages: time for the next
#: group send to see that nobody read them.
LINGER_SECONDS = 60

#: Seconds after its last announcement when a process counts as dead.
ALIVE_SECONDS = 60

#: Dead processes that one announcement clears up after.
BURIALS_AT_ONCE = 10

#: Seconds for which a journal is kept: a process reads it every second.
JOURNAL_SECONDS = 20

#: Records of a journal that are read at once.
RECORDS_AT_ONCE = 2000

#: Seconds for which it is known that the layer was flushed: each process looks more often.
FLUSH_MARK_SECONDS = 60

#: Seconds after which a bell that nobody heard is gone.
BELL_SECONDS = 10

#: Commands of which it is kept how they are written.
TEMPLATES_KEPT = 1000

#: Keys that one step of a flush looks at, or that one script is given at the most.
KEYS_AT_ONCE = 500


def is_process(owner: str) -> bool:
    return owner.endswith("!")


def split(channel: str) -> tuple[str, str]:
    """The owner of the queue of ``channel``, and what follows its ``!`` (or nothing)."""
    process, mark, target = channel.partition("!")
    return process + mark, target


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


@dataclass(frozen=True)
class Commands:
    """Makes the commands of one shard, with these prefixes and lifetimes (in seconds)."""

    prefix: str
    stats_prefix: str
    expiry: float
    group_expiry: float
    #: Of sends by owner and limit, of waits by who is waited for.
    _templates: dict[Hashable, Template] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @functools.cached_property
    def _lifetimes(self) -> tuple[int, int]:
        """How long messages live, and how long their queue is evidence."""
        return milliseconds(self.expiry), milliseconds(LINGER_SECONDS)

    def owner_of(self, key: bytes) -> str:
        """The owner of the queue that is kept at ``key``."""
        return key.decode()[len(self.prefix) :]

    def send(self, owner: str, limit: int, entry: bytes) -> Command:
        """Queue one message, which comes behind its target; the answer is a number.

        That is ``SENT``, or the depth of a full queue.
        """
        template = self._templates.get((owner, limit))
        return (template or self._keep((owner, limit), self._send(owner, limit))).filled(entry)

    def _send(self, owner: str, limit: int) -> Command:
        keys = (
            f"{self.stats_prefix}global",
            self._queue(owner),
            self._joined(owner),
            self._counter(owner),
        )
        return self._call(scripts.SEND, keys, *self._lifetimes, limit, b"")

    def _keep(self, key: Hashable, command: Command) -> Template:
        if len(self._templates) >= TEMPLATES_KEPT:
            self._templates.clear()
        template = self._templates[key] = Template(command)
        return template

    def push(self, runs: Sequence[Run]) -> Command:
        """The answer is described in ``push.lua``, or for a single message in ``send.lua``.

        The last argument is the body of the last message to a group, if there is any.
        """
        if len(runs) == 1 and len(runs[0].bodies) == 1 and not runs[0].group:
            return self.send(runs[0].owner, runs[0].limit, runs[0].bodies[0])
        owners: dict[str, int] = {}
        bodies: dict[bytes, int] = {}
        keys = [f"{self.stats_prefix}global", self._alive()]
        said: list[Argument] = []
        for run in runs:
            if run.owner not in owners:
                owners[run.owner] = len(owners) + 1
                keys += self._keys_of(run.owner)
            said += (owners[run.owner], run.limit, run.group, len(run.bodies))
            if run.group:
                said += (bodies.setdefault(body, len(bodies) + 1) for body in run.bodies)
            else:
                said += run.bodies
        before_bodies = 4 + len(said)
        return self._call(
            scripts.PUSH, keys, *self._lifetimes, len(runs), before_bodies, *said, *bodies
        )

    def _keys_of(self, owner: str) -> tuple[str, ...]:
        return (
            self._queue(owner),
            self._joined(owner),
            self._journal(owner),
            self._counter(owner),
        )

    def receive(self, owners: Sequence[str]) -> Command:
        """The answer is the number of an owner and its entry, or nothing."""
        keys = [key for owner in owners for key in (self._queue(owner), self._joined(owner))]
        return self._call(scripts.RECEIVE, keys, *(int(is_process(owner)) for owner in owners))

    def block(self, owners: Sequence[str], seconds: float, bell: str | None = None) -> Command:
        """Wait for what anybody of ``owners`` gets; with ``bell`` until that rings."""
        # Zero would mean to wait for ever.
        patience = b"%.2f" % max(seconds, 0.01)
        if bell:
            return self._wait(owners, self._bell(bell), patience)
        waiting = tuple(owners)
        template = self._templates.get(waiting)
        return (template or self._keep(waiting, self._wait(owners, b""))).filled(patience)

    def _wait(self, owners: Sequence[str], *others: str | bytes) -> Command:
        return Command("BLPOP", *map(self._queue, owners), *others, blocking=True)

    def ring(self, bell: str) -> list[Command]:
        """End a ``block`` that listens to ``bell``."""
        key = self._bell(bell)
        return [Command("RPUSH", key, ""), Command("EXPIRE", key, BELL_SECONDS)]

    def is_bell(self, key: bytes) -> bool:
        return key.startswith(self._bell("").encode())

    def drain(self, places: dict[str, str], count: int) -> Command:
        """Takes what else waits for the processes in ``places``, and reads their journals on.

        The answer is, for each process, a list of up to ``count`` entries, and one of records.
        """
        keys = [key for owner in places for key in (self._queue(owner), self._journal(owner))]
        return self._call(scripts.DRAIN, keys, count, RECORDS_AT_ONCE, *places.values())

    def give_back(self, owner: str, entries: Sequence[bytes]) -> Command:
        """Put entries back to the front, in the order in which they were taken."""
        return self._call(scripts.RETURN, [self._queue(owner)], *reversed(entries))

    def end_memberships(self, owner: str) -> Command:
        return Command("UNLINK", self._joined(owner))

    def join(self, group: str, channel: str) -> Command:
        owner, socket = split(channel)
        keys = self._membership(group, owner)
        lifetime = milliseconds(self.group_expiry)
        return self._call(
            scripts.JOIN, keys, group, socket, lifetime, milliseconds(JOURNAL_SECONDS)
        )

    def leave(self, group: str, channel: str) -> Command:
        owner, socket = split(channel)
        keys = self._membership(group, owner)
        return self._call(scripts.LEAVE, keys, group, socket, milliseconds(JOURNAL_SECONDS))

    def enlist(self, group: str, owner: str) -> Command:
        return self._call(
            scripts.ENLIST, [self._group(group)], owner, milliseconds(self.group_expiry)
        )

    def strike(self, group: str, owner: str, score: bytes) -> Command:
        """Take an owner off ``group``, if it still has this score there."""
        return self._call(scripts.STRIKE, [self._group(group)], owner, score)

    def score(self, group: str, owner: str) -> Command:
        """The answer is the score of an owner at ``group``, or nothing."""
        return Command("ZSCORE", self._group(group), owner)

    def owners(self, group: str) -> Command:
        """The answer is a list of those who may have members in ``group``, with their scores."""
        return Command("ZRANGE", self._group(group), 0, -1, "WITHSCORES")

    def members(self, group: str, owner: str) -> Command:
        """The answer is a list of sockets, see ``members.lua``."""
        keys = [self._alive(), self._queue(owner), self._joined(owner)]
        keys.append(self._sockets(group, owner))
        return self._call(scripts.MEMBERS, keys, group, int(is_process(owner)))

    def prolong(self, group: str, owner: str, sockets: Iterable[str]) -> Command:
        """The answer is 1 if the owner is in the group."""
        keys = self._membership(group, owner)
        lifetimes = milliseconds(self.group_expiry), milliseconds(JOURNAL_SECONDS)
        return self._call(scripts.PROLONG, keys, group, *lifetimes, *sockets)

    def restore(
        self, group: str, owner: str, place: str, sockets: Iterable[tuple[str, float]]
    ) -> Command:
        """``sockets``: names, and when they lapse."""
        members = (text for name, lapses in sockets for text in (name, f"{lapses:.0f}"))
        return self._call(scripts.RESTORE, self._membership(group, owner), group, place, *members)

    def groups_of(self, owner: str) -> Command:
        return Command("ZRANGE", self._joined(owner), 0, -1)

    def snapshot(self, owner: str, groups: Sequence[str]) -> Command:
        """The answer is the sockets of each group, and the journal; see ``snapshot.lua``."""
        keys = [self._joined(owner), self._journal(owner)]
        keys += (self._sockets(group, owner) for group in groups)
        return self._call(scripts.SNAPSHOT, keys, *groups)

    def changes(self, owner: str, place: str) -> Command:
        """The answer is a list of the records of the journal that come after ``place``."""
        return Command("XRANGE", self._journal(owner), f"({place}", "+", "COUNT", RECORDS_AT_ONCE)

    def announce(self, process: str) -> Command:
        """The answer is described in ``announce.lua``."""
        remembered = max(milliseconds(self.group_expiry), milliseconds(ALIVE_SECONDS))
        keys = [self._alive(), self._joined(process), self._journal(process), self._flush_mark()]
        alive, journal = milliseconds(ALIVE_SECONDS), milliseconds(JOURNAL_SECONDS)
        return self._call(
            scripts.ANNOUNCE, keys, process, alive, remembered, BURIALS_AT_ONCE, journal
        )

    def bury(self, process: str, groups: Iterable[str]) -> Iterator[Command]:
        """Remove what belongs to a dead process that is in ``groups``."""
        keys = [self._sockets(group, process) for group in groups]
        for batch in batches(keys, KEYS_AT_ONCE):
            yield self._call(scripts.BURY, [self._alive(), *batch], process, 0)
        keys = [self._queue(process), self._joined(process), self._journal(process)]
        yield self._call(scripts.BURY, [self._alive(), *keys, self._counter(process)], process, 1)

    def global_statistics(self) -> Command:
        key = f"{self.stats_prefix}global"
        return Command("HMGET", key, "messages_count", "channel_full_count")

    def mark_flush(self) -> Command:
        keys = [self._alive(), self._flush_mark()]
        return self._call(scripts.MARK_FLUSH, keys, milliseconds(FLUSH_MARK_SECONDS))

    def scan(self, prefix: str, cursor: bytes) -> Command:
        """The answer is the next cursor (b"0" at the end), and keys that start with ``prefix``."""
        pattern = "".join("\\" + c if c in "\\*?[]" else c for c in prefix) + "*"
        return Command("SCAN", cursor, "MATCH", pattern, "COUNT", KEYS_AT_ONCE)

    def is_flush_mark(self, key: bytes) -> bool:
        return key == self._flush_mark().encode()

    def waiting(self, owners: Iterable[str]) -> Command:
        """The answer is described in ``waiting.lua``."""
        return self._call(scripts.WAITING, [self._queue(owner) for owner in owners])

    def counts(self, name: str) -> Command:
        """The answer is what was sent and refused of all that is counted under ``name``."""
        return Command("HMGET", self._counter(name), "messages_count", "channel_full_count")

    def announced(self) -> Command:
        """The answer is a list of processes, with when they count as dead."""
        return Command("ZRANGE", self._alive(), 0, -1, "WITHSCORES")

    def count_sockets(self, group: str, owner: str, now: float) -> Command:
        """The answer is how many members of ``group`` a process has."""
        return Command("ZCOUNT", self._sockets(group, owner), f"({now:.0f}", "+inf")

    def _queue(self, owner: str) -> str:
        return self.prefix + owner

    def _joined(self, owner: str) -> str:
        return f"{self.prefix}joined:{owner}"

    def _journal(self, owner: str) -> str:
        return f"{self.prefix}journal:{owner}"

    def _sockets(self, group: str, owner: str) -> str:
        return f"{self.prefix}sockets:{group}:{owner}"

    def _group(self, group: str) -> str:
        return f"{self.prefix}group:{group}"

    def _alive(self) -> str:
        return f"{self.prefix}alive:"

    def _flush_mark(self) -> str:
        return f"{self.prefix}flushed:"

    def _bell(self, name: str) -> str:
        return f"{self.prefix}bell:{name}"

    def _counter(self, channel: str) -> str:
        return f"{self.stats_prefix}channel:{statistics_name(channel)}"

    def _membership(self, group: str, owner: str) -> list[str]:
        return [self._joined(owner), self._sockets(group, owner), self._journal(owner)]

    def _call(self, script: scripts.Script, keys: Sequence[str], *arguments: Argument) -> Command:
        return Command("EVALSHA", script.digest, len(keys), *keys, *arguments, script=script)


def batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """``items`` in parts of at most ``size``."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def pairs(flat: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The members of a sorted set and their scores, out of the list that the server sends."""
    iterator = iter(flat)
    return zip(iterator, iterator, strict=True)
