"""The sending side of a layer: which messages go where, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ...exceptions import ChannelFull, ChannelLayerUnavailable
from ..names import queue_of
from .batch import BYTES_AT_ONCE, Batch, Refused
from .command import Template
from .commands import pairs, split
from .runs import SENT, Run
from .shards import Shards
from .steps import Request, Steps

#: Owners of one group that are remembered, and of all groups together: what is kept of each is
#: about a kilobyte.
OWNERS_OF_A_GROUP, OWNERS_KNOWN = 100, 10_000

Outcome = Exception | None

#: A message that is ready to go: a channel's name, or if the last is true a group's; and its body.
Encoded = tuple[str, bytes, bool]

#: The shard that takes an owner's messages, and how many.
Way = tuple[int, int]


class Audience(NamedTuple):
    """The owners that a group had last time, and how each shard is told of a message to it."""

    owners: frozenset[bytes]
    lookup: Request
    parts: list[tuple[int, Template, list[Run]]]


class Sender:
    """Says what is to be said to send messages.

    ``capacity_of`` gives the limit of a channel, ``channel_full`` makes the error for one that
    has so many messages waiting.
    """

    def __init__(
        self,
        shards: Shards,
        capacity_of: Callable[[str], int],
        channel_full: Callable[[str, int], ChannelFull],
    ) -> None:
        self._shards = shards
        self._capacity_of = capacity_of
        self._channel_full = channel_full
        self._audiences: dict[str, Audience] = {}
        self._owners_known = 0

    def send(self, channel: str, body: bytes) -> Steps[Outcome]:
        """Send one message to one channel: to a shard that takes it, and not where it may be."""
        failure: Outcome = None
        depth = 0
        owner, target = split(channel)
        capacity = self._capacity_of(owner)
        entry = entry_of(target, body)
        for number in self._shards.to_send(owner):
            limit = self._shards.share(owner, capacity, number)
            command = self._shards[number].commands.send(owner, limit, entry)
            [answer] = yield [Request(number, command)]
            if answer == SENT:
                return None
            if isinstance(answer, ChannelLayerUnavailable):
                failure = answer
                if answer.may_have_arrived:
                    break
            else:
                depth += answer
        return failure or self._channel_full(channel, depth)

    def send_group(self, group: str, body: bytes) -> Steps[Outcome]:
        """Send one message to a group: to the owners of last time, while asking for those of now.

        An owner itself says whether it has members. So the first ones may be wrong, and only the
        others make another round.
        """
        audience = self._audiences.get(group)
        if audience is None or len(body) * len(audience.owners) > BYTES_AT_ONCE:
            audience = self._make_audience(group, frozenset())
        told = [Request(shard, template.filled(body)) for shard, template, _ in audience.parts]
        found, *answers = yield [audience.lookup, *told]
        if not any(answers) and is_audience(audience, found):
            return None
        batch = Batch(self._shards, 1)
        for (shard, _, runs), answer in zip(audience.parts, answers, strict=True):
            batch.note_part(shard, runs, answer)
        if isinstance(found, Exception):
            batch.outcomes[0] = found
        else:
            for name, score in pairs(found):
                owner = name.decode()
                batch.scores[group, owner] = score
                if name not in audience.owners:
                    self._add_member(batch, 0, group, body, owner)
            self._remember(group, frozenset(found[::2]))
        [outcome] = yield from self.finish(batch)
        return outcome

    def _remember(self, group: str, owners: frozenset[bytes]) -> None:
        known = self._audiences.get(group)
        if known is not None and known.owners == owners:
            return
        self._audiences.pop(group, None)
        self._owners_known -= len(known.owners) if known else 0
        if not 0 < len(owners) <= OWNERS_OF_A_GROUP:
            return
        if self._owners_known + len(owners) > OWNERS_KNOWN:
            self._audiences, self._owners_known = {}, 0
        self._audiences[group] = self._make_audience(group, owners)
        self._owners_known += len(owners)

    def _make_audience(self, group: str, owners: frozenset[bytes]) -> Audience:
        home = self._shards.home(group)
        lookup = Request(home, self._shards[home].commands.owners(group))
        batch = Batch(self._shards, 1)
        for owner in owners:
            self._add_member(batch, 0, group, b"", owner.decode())
        parts = []
        while requests := batch.next_round():
            for (_, command), (shard, runs) in zip(requests, batch.said, strict=True):
                parts.append((shard, Template(command), runs))
        return Audience(owners, lookup, parts)

    def gather(self, messages: Sequence[Encoded | Exception]) -> Steps[Batch]:
        """Find out where several messages go; an exception stands for one that cannot go."""
        groups = {message[0] for message in messages if type(message) is tuple and message[2]}
        owners: dict[str, Any] = {}
        if groups:
            homes = [self._shards.home(group) for group in groups]
            answers = yield [
                Request(home, self._shards[home].commands.owners(group))
                for home, group in zip(homes, groups, strict=True)
            ]
            owners = dict(zip(groups, answers, strict=True))
        return self._sort(messages, owners)

    def _sort(self, messages: Sequence[Encoded | Exception], owners: dict[str, Any]) -> Batch:
        batch = Batch(self._shards, len(messages))
        ways: dict[str, Way] = {}
        nobody = run = Run("", 0)
        for number, message in enumerate(messages):
            if isinstance(message, Exception):
                batch.outcomes[number] = message
                continue
            name, body, to_group = message
            if to_group:
                self._add_members(batch, number, name, body, owners[name])
                run = nobody
                continue
            owner, target = split(name)
            if owner != run.owner or owner not in ways:
                shard, limit = ways.get(owner) or self._way_to(owner, ways)
                run = batch.run_to(shard, owner, limit)
            run.add(number, entry_of(target, body))
        return batch

    def _add_members(
        self, batch: Batch, number: int, group: str, body: bytes, owners: Any
    ) -> None:
        if isinstance(owners, Exception):
            batch.outcomes[number] = owners
            return
        for name, score in pairs(owners):
            owner = name.decode()
            self._add_member(batch, number, group, body, owner)
            batch.scores[group, owner] = score

    def _add_member(self, batch: Batch, number: int, group: str, body: bytes, owner: str) -> None:
        home, capacity = self._shards.home(owner), self._capacity_of(owner)
        # A normal channel gets its groups' messages at home, where its share may be nothing.
        limit = max(self._shards.share(owner, capacity, home), min(capacity, 1))
        batch.run_to(home, owner, limit, group).add(number, body)

    def _way_to(self, owner: str, ways: dict[str, Way]) -> Way:
        shard = self._shards.to_send(owner)[0]
        way = shard, self._shards.share(owner, self._capacity_of(owner), shard)
        if not self._shards.spreads(owner):
            ways[owner] = way
        return way

    def finish(self, batch: Batch) -> Steps[list[Outcome]]:
        """Do what is left when all of a batch has been said; returns its outcomes."""
        while requests := batch.next_round():
            batch.note((yield requests))
        for refused in batch.refused:
            batch.outcomes[refused.number] = yield from self._end_refusal(batch, refused)
        if strikes := [
            Request(home, self._shards[home].commands.strike(*gone, batch.scores[gone]))
            for gone in batch.gone
            if gone in batch.scores
            for home in [self._shards.home(gone[0])]
        ]:
            yield strikes
        return batch.final_outcomes()

    def _end_refusal(self, batch: Batch, refused: Refused) -> Steps[Outcome]:
        """What one shard of a normal channel did not take may find room in the others."""
        if self._shards.spreads(queue_of(refused.channel)):
            return (yield from self.send(refused.channel, refused.body))
        if refused.depth is None:
            return batch.outcomes[refused.number]
        return self._channel_full(refused.channel, refused.depth)


def is_audience(audience: Audience, found: Any) -> bool:
    return not isinstance(found, Exception) and audience.owners == set(found[::2])


def entry_of(target: str, body: bytes) -> bytes:
    """What is queued: see ``common.lua``."""
    return b"%b\n%b" % (target.encode(), body)
