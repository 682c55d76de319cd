"""What is said to Redis: the scripts, and how their keys and arguments are made.

Nothing here does any I/O, so that it serves blocking and asyncio connections, one command at
a time or several in a pipeline.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from importlib import resources
from typing import Any, NamedTuple, TypeVar

from ..base import queue_of

Argument = str | bytes | int | float

#: Seconds for which the queue of a group's member outlives its messages: time for the next
#: group send to see that nobody read them.
LINGER_SECONDS = 60

#: Seconds after its last announcement when a process counts as dead.
ALIVE_SECONDS = 60

#: Keys that one step of a flush looks at.
SCAN_COUNT = 500


class Script:
    """One Lua script of the package, with what all scripts share before it."""

    def __init__(self, name: str) -> None:
        self.name = name
        package = resources.files(__package__)
        parts = [(package / f"{part}.lua").read_text("utf-8") for part in ("common", name)]
        self.text = "\n".join(parts)
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def __repr__(self) -> str:
        return f"<Script {self.name}>"


SEND = Script("send")
RECEIVE = Script("receive")
GIVE_BACK = Script("give_back")
LEAVE_ALL = Script("leave_all")
ANNOUNCE = Script("announce")
GROUP_ADD = Script("group_add")
GROUP_DISCARD = Script("group_discard")
GROUP_CHANNELS = Script("group_channels")
GROUP_REFRESH = Script("group_refresh")
SEND_GROUP = Script("send_group")
STATISTICS = Script("statistics")


class Call(NamedTuple):
    """A script with its keys and arguments."""

    script: Script
    keys: list[str]
    arguments: list[Argument]

    def by_digest(self) -> Command:
        """The command for a server that knows the script."""
        return Command("EVALSHA", self.script.digest, *self._operands())

    def by_text(self) -> Command:
        """The command that also teaches the server the script."""
        return Command("EVAL", self.script.text, *self._operands())

    def _operands(self) -> tuple[Argument, ...]:
        return (len(self.keys), *self.keys, *self.arguments)


class Command:
    """A command that is no script; ``blocking`` ones wait on the server."""

    def __init__(self, *arguments: Argument, blocking: bool = False) -> None:
        self.arguments = arguments
        self.blocking = blocking


Result = TypeVar("Result")

#: What is to be said to a server, one thing after the other; what is sent in is its answer.
Steps = Generator[Call | Command, Any, Result]


def split(channel: str) -> tuple[str, str]:
    """The owner of the queue of ``channel``, and what follows its ``!`` (or nothing)."""
    owner = queue_of(channel)
    return owner, channel[len(owner) :]


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


@dataclass(frozen=True)
class Commands:
    """Makes the commands of a layer with these prefixes and lifetimes (in seconds)."""

    prefix: str
    stats_prefix: str
    expiry: float
    group_expiry: float

    def queue_key(self, owner: str) -> str:
        return self.prefix + owner

    def owner_of(self, key: bytes) -> str:
        """The owner of the queue that is kept at ``key``."""
        return key.decode()[len(self.prefix) :]

    def send(self, channel: str, message: bytes, limit: int) -> Call:
        owner, target = split(channel)
        return self._call(
            SEND, [self.queue_key(owner)], owner, target, *self._lifetimes(), limit, message
        )

    def receive(self, owners: list[str]) -> Call:
        return self._call(RECEIVE, [self.queue_key(owner) for owner in owners], *owners)

    def block(self, owners: list[str], seconds: float) -> Command:
        # Zero would mean to wait for ever.
        keys = [self.queue_key(owner) for owner in owners]
        return Command("BLPOP", *keys, f"{max(seconds, 0.01):.2f}", blocking=True)

    def give_back(self, owner: str, entry: bytes) -> Call:
        return self._call(GIVE_BACK, [self.queue_key(owner)], entry)

    def leave_all(self, owner: str) -> Call:
        return self._call(LEAVE_ALL, [f"{self.prefix}joined:{owner}"], owner)

    def announce(self, process: str) -> Call:
        remembered = max(milliseconds(self.group_expiry), milliseconds(ALIVE_SECONDS))
        return self._call(
            ANNOUNCE, [f"{self.prefix}alive:"], process, milliseconds(ALIVE_SECONDS), remembered
        )

    def group_add(self, group: str, channel: str, limit: int | None) -> Call:
        """``limit``: the capacity of the channel where it is not the default one."""
        owner, socket = split(channel)
        lifetime = milliseconds(self.group_expiry)
        stored = "" if limit is None else limit
        return self._group(GROUP_ADD, group, owner, socket, lifetime, stored)

    def group_discard(self, group: str, channel: str) -> Call:
        return self._group(GROUP_DISCARD, group, *split(channel))

    def group_channels(self, group: str) -> Call:
        return self._group(GROUP_CHANNELS, group)

    def group_refresh(self, owner: str, sockets: Iterable[str]) -> Call:
        lifetime = milliseconds(self.group_expiry)
        return self._call(
            GROUP_REFRESH, [f"{self.prefix}joined:{owner}"], owner, lifetime, *sockets
        )

    def send_group(self, group: str, message: bytes, limit: int) -> Call:
        return self._group(SEND_GROUP, group, *self._lifetimes(), limit, message)

    def statistics(self, channel: str) -> Call:
        owner = queue_of(channel)
        return self._call(STATISTICS, [self.queue_key(owner)], owner)

    def global_statistics(self) -> Command:
        key = self.stats_prefix + "global"
        return Command("HMGET", key, "messages_count", "channel_full_count")

    def flush(self) -> Steps[None]:
        """Remove all keys of the layer, some at a time, so that Redis serves others as well."""
        for prefix in (self.prefix, self.stats_prefix):
            pattern = "".join("\\" + c if c in "\\*?[]" else c for c in prefix) + "*"
            cursor: bytes | None = None
            while cursor != b"0":
                scan = Command("SCAN", cursor or 0, "MATCH", pattern, "COUNT", SCAN_COUNT)
                cursor, keys = yield scan
                if keys:
                    yield Command("UNLINK", *keys)

    def _lifetimes(self) -> tuple[int, int]:
        return milliseconds(self.expiry), milliseconds(LINGER_SECONDS)

    def _group(self, script: Script, group: str, *arguments: Argument) -> Call:
        return self._call(script, [f"{self.prefix}group:{group}"], group, *arguments)

    def _call(self, script: Script, keys: list[str], *arguments: Argument) -> Call:
        return Call(script, keys, [self.prefix, self.stats_prefix, *arguments])
