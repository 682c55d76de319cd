"""A look at the whole layer: what it holds, and emptying it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from ...exceptions import ChannelLayerUnavailable
from ..names import queue_of
from .command import Command
from .commands import batches, is_process, pairs
from .shards import Shards, is_spread
from .steps import COMMANDS_AT_ONCE, Request, Steps, ask
from .summary import (
    Look,
    Record,
    Waiting,
    integers,
    sum_up_channels,
    sum_up_groups,
    sum_up_processes,
    sums,
)

#: Queues that one script looks at: that takes the server less than a millisecond.
QUEUES_AT_ONCE = 100


class Overview:
    """Says what is to be said about all shards; raises ``ChannelLayerUnavailable``."""

    def __init__(self, shards: Shards, expiry: float, capacity_of: Callable[[str], int]) -> None:
        """``expiry``: seconds that messages live. ``capacity_of``: gives a queue's limit."""
        self._shards = shards
        self._expiry = expiry
        self._capacity_of = capacity_of

    def flush(self) -> Steps[None]:
        """Remove all keys of the layer, some at a time, so that Redis serves others as well."""
        for number in range(len(self._shards)):
            commands = self._shards[number].commands
            yield from ask(number, commands.mark_flush())
            for prefix in (commands.prefix, commands.stats_prefix):
                cursor = b"0"
                while True:
                    cursor, keys = yield from ask(number, commands.scan(prefix, cursor))
                    if keys := [key for key in keys if not commands.is_flush_mark(key)]:
                        yield from ask(number, Command("UNLINK", *keys))
                    if cursor == b"0":
                        break

    def global_statistics(self) -> Steps[dict[str, int]]:
        answers = yield [
            Request(number, self._shards[number].commands.global_statistics())
            for number in range(len(self._shards))
        ]
        _raise_failures(answers)
        sent, refused = sums(answers)
        return {"messages_count": sent, "channel_full_count": refused}

    def channel_statistics(self, channel: str) -> Steps[dict[str, float]]:
        numbers = range(len(self._shards))
        owner = queue_of(channel)
        requests = [Request(n, self._shards[n].commands.waiting([owner])) for n in numbers]
        requests += [Request(n, self._shards[n].commands.counts(channel)) for n in numbers]
        answers = yield requests
        _raise_failures(answers)
        found = answers[: len(numbers)]
        for number, [queue] in zip(numbers, found, strict=True):
            if queue is None:
                raise self._taken(number, owner)
        queues = [self._waiting(*queue) for [queue] in found]
        sent, refused = sums(answers[len(numbers) :])
        return {
            "messages_count": sent,
            "messages_pending": sum(queue.pending for queue in queues),
            "messages_max_age": max(queue.age for queue in queues),
            "channel_full_count": refused,
        }

    def _taken(self, number: int, owner: str) -> ChannelLayerUnavailable:
        key = self._shards[number].commands.prefix + owner
        return ChannelLayerUnavailable(
            f"Redis at {self._server(number)} has no queue at the key {key!r}, but something of "
            "another type: delete it, and let nobody else use the layer's prefix."
        )

    def describe(self) -> Steps[Record]:
        """Everything that an operator may want to know, in plain data; raises nothing."""
        looks = []
        for number in range(len(self._shards)):
            try:
                looks.append((yield from self._look_at(number)))
            except ChannelLayerUnavailable as error:
                looks.append(Look(str(error)))
        sockets = yield from self._count_sockets(looks)
        capacity_of = partial(self._capacity, looks)
        channels = sum_up_channels(looks, capacity_of)
        sent, refused = sums([look.totals for look in looks])
        return {
            "expiry": self._expiry,
            "shards": [
                {"server": self._server(number), "error": look.error}
                for number, look in enumerate(looks)
            ],
            "statistics": {
                "messages_count": sent,
                "messages_pending": sum(channel["messages_pending"] for channel in channels),
                "channel_full_count": refused,
            },
            "channels": channels,
            "groups": sum_up_groups(looks, sockets),
            "processes": sum_up_processes(looks, capacity_of),
            "wrong_keys": [
                {"key": key, "server": self._server(number)}
                for number, look in enumerate(looks)
                for key in sorted(look.wrong_keys)
            ],
        }

    def _capacity(self, looks: Sequence[Look], owner: str) -> int:
        """The limit of a queue: of a normal channel, what the shards take that answer."""
        capacity = self._capacity_of(owner)
        if not is_spread(owner):
            return capacity
        answering = (number for number, look in enumerate(looks) if not look.error)
        return sum(self._shards.share(owner, capacity, number) for number in answering)

    def _server(self, number: int) -> str | None:
        host = self._shards[number].location.host
        return host.address if host else None

    def _look_at(self, number: int) -> Steps[Look]:
        look, commands = Look(), self._shards[number].commands
        names = yield from self._names(number, commands.prefix)
        counted = (yield from self._names(number, commands.stats_prefix)).get("channel", [])
        requests = [Command("TIME"), commands.announced(), commands.global_statistics()]
        time, announced, totals = yield from self._ask_all(number, look, requests)
        look.now = int(time[0]) * 1000 + int(time[1]) / 1000
        look.totals = integers(totals or (0, 0))
        look.queues = yield from self._queues(number, look, names.get("", []))
        counts = yield from self._ask_all(number, look, map(commands.counts, counted))
        look.counts = {
            name: integers(found) for name, found in zip(counted, counts, strict=True) if found
        }
        look.owners = yield from self._owners(number, look, names.get("group", []))
        left = {
            _text(name): (float(dies) - look.now) / 1000 for name, dies in pairs(announced or ())
        }
        # A process announces itself to other shards too, but these need not know its end.
        look.left = {name: left[name] for name in left if self._shards.home(name) == number}
        return look

    def _names(self, number: int, prefix: str) -> Steps[dict[str, list[str]]]:
        """The names below ``prefix``, by what stands before them; nothing before queues."""
        names: dict[str, set[str]] = {}
        cursor = b"0"
        while True:
            scan = self._shards[number].commands.scan(prefix, cursor)
            cursor, keys = yield from ask(number, scan)
            for key in keys:
                kind, _, name = _text(key)[len(prefix) :].rpartition(":")
                names.setdefault(kind, set()).add(name)
            if cursor == b"0":
                return {kind: list(found) for kind, found in names.items()}

    def _queues(self, number: int, look: Look, owners: Sequence[str]) -> Steps[dict[str, Waiting]]:
        commands = self._shards[number].commands
        parts = list(batches(owners, QUEUES_AT_ONCE))
        answers = yield from self._ask_all(number, look, map(commands.waiting, parts))
        found = [answer for part in answers for answer in part]
        queues = {}
        for owner, answer in zip(owners, found, strict=True):
            if answer is None:
                look.wrong_keys.add(commands.prefix + owner)
            elif answer[0]:
                queues[owner] = self._waiting(*answer)
        return queues

    def _waiting(self, pending: int, left: bytes) -> Waiting:
        """``left``: milliseconds until the oldest message expires, or nothing without one."""
        age = max(self._expiry - float(left) / 1000, 0) if left else 0
        return Waiting(pending, round(age, 3))

    def _owners(
        self, number: int, look: Look, groups: Sequence[str]
    ) -> Steps[dict[str, list[str]]]:
        commands = self._shards[number].commands
        answers = yield from self._ask_all(number, look, map(commands.owners, groups))
        return {
            group: [_text(owner) for owner, lapses in pairs(found) if float(lapses) > look.now]
            for group, found in zip(groups, answers, strict=True)
            if found
        }

    def _count_sockets(self, looks: Sequence[Look]) -> Steps[dict[tuple[str, str], int]]:
        """How many members each living process has in each group."""
        dead = {owner for look in looks for owner, left in look.left.items() if left <= 0}
        wanted: dict[int, list[tuple[str, str]]] = {}
        for look in looks:
            for group, owners in look.owners.items():
                for owner in filter(is_process, owners):
                    if owner not in dead:
                        wanted.setdefault(self._shards.home(owner), []).append((group, owner))
        counted: dict[tuple[str, str], int] = {}
        for number, memberships in wanted.items():
            look, commands = looks[number], self._shards[number].commands
            if look.error:
                continue
            counts = [commands.count_sockets(*both, look.now) for both in memberships]
            try:
                answers = yield from self._ask_all(number, look, counts)
            except ChannelLayerUnavailable as error:
                look.error = str(error)
            else:
                counted.update(
                    (both, count or 0) for both, count in zip(memberships, answers, strict=True)
                )
        return counted

    def _ask_all(self, number: int, look: Look, commands: Iterable[Command]) -> Steps[list[Any]]:
        """The answers, without one where the key has another type, which ``look`` notes."""
        answers: list[Any] = []
        for part in batches(list(commands), COMMANDS_AT_ONCE):
            found = yield [Request(number, command) for command in part]
            for command, answer in zip(part, found, strict=True):
                if _is_of_wrong_type(answer):
                    look.wrong_keys.add(str(command.arguments[1]))
                    answers.append(None)
                else:
                    _raise_failures([answer])
                    answers.append(answer)
        return answers


def _raise_failures(answers: list[Any]) -> None:
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer


def _is_of_wrong_type(answer: Any) -> bool:
    """Whether a command was refused because its key holds something else."""
    return isinstance(answer, ChannelLayerUnavailable) and str(answer.__cause__).startswith(
        "WRONGTYPE"
    )


def _text(name: bytes) -> str:
    """A name out of a key that may be somebody else's."""
    return name.decode(errors="replace")
