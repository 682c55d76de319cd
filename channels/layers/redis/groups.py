"""Groups: who joins, who leaves, who is there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .commands import batches, is_process, pairs, split
from .processes import SOCKETS_AT_ONCE, Processes
from .shards import Shards
from .steps import Request, Steps, all_of, ask


class Groups:
    """Says what is to be said about memberships; raises ``ChannelLayerUnavailable``."""

    def __init__(self, shards: Shards, processes: Processes) -> None:
        self._shards = shards
        self._processes = processes

    def add(self, group: str, channel: str) -> Steps[None]:
        owner, _ = split(channel)
        home = self._shards.home(owner)
        # In this order, or else a send in between could find an owner without members.
        yield from self._in_order(
            Request(home, self._shards[home].commands.join(group, channel)),
            self._enlist(group, owner),
        )

    def discard(self, group: str, channel: str) -> Steps[None]:
        owner, _ = split(channel)
        home, group_home = self._shards.home(owner), self._shards.home(group)
        commands = self._shards[group_home].commands
        score, has_left = yield from self._in_order(
            Request(group_home, commands.score(group, owner)),
            Request(home, self._shards[home].commands.leave(group, channel)),
        )
        if has_left and score:
            yield from ask(group_home, commands.strike(group, owner, score))

    def channels(self, group: str) -> Steps[list[str]]:
        home = self._shards.home(group)
        found = yield from ask(home, self._shards[home].commands.owners(group))
        owners = [name.decode() for name, _ in pairs(found)]
        sockets = yield from all_of([self._members(group, owner) for owner in owners])
        return [
            owner + name.decode()
            for owner, names in zip(owners, sockets, strict=True)
            for name in names
        ]

    def refresh(self, channels: Iterable[str]) -> Steps[None]:
        """Start the group expiry of all memberships of ``channels`` anew."""
        wanted: dict[str, set[str]] = {}
        for channel in channels:
            owner, socket = split(channel)
            wanted.setdefault(owner, set()).add(socket)
        for owner, sockets in wanted.items():
            yield from self._refresh(owner, sockets)

    def _refresh(self, owner: str, wanted: set[str]) -> Steps[None]:
        home = self._shards.home(owner)
        commands = self._shards[home].commands
        asked: list[str] = []
        requests: list[Request] = []
        for group, sockets in (yield from self._sockets(home, owner)).items():
            chosen = [socket for socket in sockets if socket in wanted]
            for part in batches(chosen, SOCKETS_AT_ONCE):
                asked.append(group)
                requests.append(Request(home, commands.prolong(group, owner, part)))
        answers = yield from all_of(requests)
        joined = dict.fromkeys(
            group for group, answer in zip(asked, answers, strict=True) if answer
        )
        yield from all_of([self._enlist(group, owner) for group in joined])

    def _sockets(self, home: int, owner: str) -> Steps[dict[str, list[str]]]:
        """The groups of an owner, with its sockets there: an empty name for other channels."""
        if not is_process(owner):
            found = yield from ask(home, self._shards[home].commands.groups_of(owner))
            return {group.decode(): [""] for group in found}
        groups = yield from self._processes.groups(home, owner)
        return {group: [name for name, _ in sockets] for group, sockets in groups.items()}

    def _in_order(self, *requests: Request) -> Steps[list[Any]]:
        """The answers to requests of which each one must be done before the next begins."""
        if len({request.shard for request in requests}) == 1:
            return (yield from all_of(requests))
        answers = []
        for request in requests:
            answers.append((yield from ask(*request)))
        return answers

    def _enlist(self, group: str, owner: str) -> Request:
        home = self._shards.home(group)
        return Request(home, self._shards[home].commands.enlist(group, owner))

    def _members(self, group: str, owner: str) -> Request:
        home = self._shards.home(owner)
        return Request(home, self._shards[home].commands.members(group, owner))
