"""The sending side of a layer: which messages go where, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from ...exceptions import ChannelFull, ChannelLayerUnavailable
from .commands import GONE, SENT, Push, pairs, split
from .shards import Shards
from .steps import Request, Steps

#: Messages, and bytes of their bodies, that are pushed by one script call at the most: other
#: clients of the server are to get their turn in between.
PUSHES_AT_ONCE = 500
BYTES_AT_ONCE = 4 * 1024 * 1024

#: Groups whose owners are remembered.
GROUPS_KNOWN = 10_000

Outcome = Exception | None


class Encoded(NamedTuple):
    """A message that is ready to go to a channel, or with ``to_group`` to a group."""

    name: str
    body: bytes
    to_group: bool


class Way(NamedTuple):
    """How to get to a channel: see ``Push``."""

    shard: int
    owner: str
    target: str
    limit: int


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
        self._owners: dict[str, list[str]] = {}

    def send(self, channel: str, body: bytes) -> Steps[Outcome]:
        """Send one message to one channel: to a shard that takes it, and not where it may be."""
        failure: Outcome = None
        depth = 0
        owner, target = split(channel)
        capacity = self._capacity_of(channel)
        for number in self._shards.to_send(owner):
            limit = self._shards.share(owner, capacity, number)
            push = Push(channel, owner, target, limit, body)
            [answer] = yield [Request(number, self._shards[number].commands.send(push))]
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
        message, batch = Encoded(group, body, True), Batch(self._shards, 1)
        expected = self._owners.get(group, [])
        for owner in expected:
            self._add_member(batch, 0, message, owner)
        home = self._shards.home(group)
        lookup = Request(home, self._shards[home].commands.owners(group))
        found, *answers = yield [lookup, *batch.next_round()]
        batch.note(answers)
        if isinstance(found, Exception):
            batch.outcomes[0] = found
        else:
            scores = {name.decode(): score for name, score in pairs(found)}
            batch.scores = {(group, owner): score for owner, score in scores.items()}
            for owner in scores.keys() - set(expected):
                self._add_member(batch, 0, message, owner)
            self._remember(group, list(scores))
        [outcome] = yield from self.finish(batch)
        return outcome

    def _remember(self, group: str, owners: list[str]) -> None:
        if len(self._owners) >= GROUPS_KNOWN:
            self._owners = {}
        self._owners[group] = owners

    def gather(self, messages: Sequence[Encoded | Exception]) -> Steps[Batch]:
        """Find out where several messages go; an exception stands for one that cannot go."""
        groups = dict.fromkeys(
            message.name
            for message in messages
            if isinstance(message, Encoded) and message.to_group
        )
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
        for number, message in enumerate(messages):
            if isinstance(message, Exception):
                batch.outcomes[number] = message
            elif message.to_group:
                self._add_members(batch, number, message, owners[message.name])
            else:
                name = message.name
                way = ways.get(name) or self._way_to(name)
                if not self._shards.spreads(way.owner):
                    ways[name] = way
                push = Push(name, way.owner, way.target, way.limit, message.body)
                batch.add(number, way.shard, push)
        return batch

    def _add_members(self, batch: Batch, number: int, message: Encoded, owners: Any) -> None:
        if isinstance(owners, Exception):
            batch.outcomes[number] = owners
            return
        for name, score in pairs(owners):
            owner = name.decode()
            self._add_member(batch, number, message, owner)
            batch.scores[message.name, owner] = score

    def _add_member(self, batch: Batch, number: int, message: Encoded, owner: str) -> None:
        home, capacity = self._shards.home(owner), self._capacity_of(owner)
        # A normal channel gets its groups' messages at home, where its share may be nothing.
        limit = max(self._shards.share(owner, capacity, home), min(capacity, 1))
        batch.add(number, home, Push(owner, owner, "", limit, message.body, message.name))

    def _way_to(self, channel: str) -> Way:
        owner, target = split(channel)
        shard = self._shards.to_send(owner)[0]
        limit = self._shards.share(owner, self._capacity_of(channel), shard)
        return Way(shard, owner, target, limit)

    def finish(self, batch: Batch) -> Steps[list[Outcome]]:
        """Do what is left when all of a batch has been said; returns its outcomes."""
        while requests := batch.next_round():
            batch.note((yield requests))
        if len(self._shards) > 1:
            yield from self._try_other_shards(batch)
        if strikes := [
            Request(home, self._shards[home].commands.strike(*gone, batch.scores[gone]))
            for gone in batch.gone
            if gone in batch.scores
            for home in [self._shards.home(gone[0])]
        ]:
            yield strikes
        return [
            self._channel_full(outcome.channel, outcome.depth)
            if isinstance(outcome, Refusal)
            else outcome
            for outcome in batch.final_outcomes()
        ]

    def _try_other_shards(self, batch: Batch) -> Steps[None]:
        """What one shard of a normal channel did not take may find room in the others."""
        for number, push in batch.refused():
            if self._shards.spreads(push.owner):
                batch.outcomes[number] = yield from self.send(push.channel, push.body)


class Refusal(NamedTuple):
    """A channel was full."""

    channel: str
    depth: int


class Batch:
    """Messages on their way to the shards of their owners, in rounds of bounded size."""

    def __init__(self, shards: Shards, size: int) -> None:
        self.outcomes: list[Any] = [None] * size
        #: Pairs of a group and an owner that has no member there.
        self.gone: list[tuple[str, str]] = []
        #: The scores of owners at groups.
        self.scores: dict[tuple[str, str], bytes] = {}
        self._shards = shards
        self._waiting: dict[int, list[tuple[int, Push]]] = {}
        self._said: list[list[tuple[int, Push]]] = []
        self._full: dict[str, int] = {}
        self._refused: list[tuple[int, Push]] = []
        self._reached: set[int] = set()

    def final_outcomes(self) -> list[Any]:
        """For each message what went wrong: a group's may have arrived at some of its members."""
        return [
            _reaching_some(outcome)
            if number in self._reached and isinstance(outcome, ChannelLayerUnavailable)
            else outcome
            for number, outcome in enumerate(self.outcomes)
        ]

    def add(self, number: int, shard: int, push: Push) -> None:
        """Send ``push`` to ``shard``, on behalf of the message with this number."""
        self._waiting.setdefault(shard, []).append((number, push))

    def is_last_round(self) -> bool:
        return all(_part(waiting) == len(waiting) for waiting in self._waiting.values())

    def next_round(self) -> list[Request]:
        """What to say next: nothing at the end."""
        requests, self._said = [], []
        for shard, waiting in self._waiting.items():
            part = waiting[: _part(waiting)]
            del waiting[: len(part)]
            if part := list(self._still_to_send(part)):
                pushes = [push for _, push in part]
                requests.append(Request(shard, self._shards[shard].commands.push(pushes)))
                self._said.append(part)
        self._waiting = {shard: waiting for shard, waiting in self._waiting.items() if waiting}
        return requests or (self.next_round() if self._waiting else [])

    def note(self, answers: Sequence[Any]) -> None:
        """Take over the answers to what ``next_round`` gave."""
        for part, answer in zip(self._said, answers, strict=True):
            results = [answer] * len(part) if isinstance(answer, Exception) else answer
            for (number, push), result in zip(part, results, strict=True):
                self._note(number, push, result)

    def refused(self) -> list[tuple[int, Push]]:
        """What surely was not queued."""
        return self._refused

    def _still_to_send(self, part: Iterable[tuple[int, Push]]) -> Iterable[tuple[int, Push]]:
        """What goes to a queue that was full a round ago is refused too, to keep the order."""
        for number, push in part:
            if push.owner in self._full:
                self._note(number, push, self._full[push.owner])
            else:
                yield number, push

    def _note(self, number: int, push: Push, result: Any) -> None:
        if result == SENT:
            self._reached.add(number)
        elif result == GONE:
            self.gone.append((push.group, push.owner))
        elif isinstance(result, ChannelLayerUnavailable):
            self.outcomes[number] = self.outcomes[number] or result
            if not result.may_have_arrived:
                self._note_refusal(number, push)
        else:
            self._full[push.owner] = result
            self._note_refusal(number, push, result)

    def _note_refusal(self, number: int, push: Push, depth: int | None = None) -> None:
        if push.group:
            return  # a member whose channel is full misses the message
        self._refused.append((number, push))
        if depth is not None:
            self.outcomes[number] = Refusal(push.channel, depth)


def _reaching_some(error: ChannelLayerUnavailable) -> ChannelLayerUnavailable:
    if error.may_have_arrived:
        return error
    partial = ChannelLayerUnavailable(
        f"Some members of the group got the message, but not all. {error}", may_have_arrived=True
    )
    partial.__cause__ = error
    return partial


def _part(waiting: list[tuple[int, Push]]) -> int:
    """How many of the pushes that wait go in one call."""
    size = 0
    for count, (_, push) in enumerate(waiting[:PUSHES_AT_ONCE]):
        size += len(push.body)
        if size > BYTES_AT_ONCE and count:
            return count
    return min(len(waiting), PUSHES_AT_ONCE)
