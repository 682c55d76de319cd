"""Groups that many change and use at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from channels.layers.redis import RedisChannelLayer
from channels.layers.redis.command import Command
from channels.layers.redis.steps import Request, Steps
from channels.test.layer_cases.base import InThread, drain

from ..redis_server import RedisServer
from .reading import Reader

Layers = Callable[..., RedisChannelLayer]


@pytest.fixture(params=["one server", "three shards"])
def servers(request: pytest.FixtureRequest, redis_server: RedisServer) -> list[RedisServer]:
    if request.param == "one server":
        return [redis_server]
    shards: list[RedisServer] = request.getfixturevalue("redis_shards")
    return shards


@pytest.fixture
def new_layer(redis_config: dict[str, Any], servers: list[RedisServer]) -> Iterator[Layers]:
    """Makes layers that share one prefix."""
    hosts = [server.url for server in servers]
    made: list[RedisChannelLayer] = []

    def make(**config: Any) -> RedisChannelLayer:
        made.append(RedisChannelLayer(**{**redis_config, "hosts": hosts, **config}))
        return made[-1]

    yield make
    made[0].flush()
    for layer in made:
        layer.close()


class Member:
    """Joins and leaves groups with one socket, again and again, and sends to them meanwhile."""

    def __init__(self, layer: RedisChannelLayer, channel: str, number: int) -> None:
        self.channel = channel
        self.due: list[int] = []
        self._layer = layer
        self._next = number * 1_000_000

    def run(self, rounds: int, groups: str) -> None:
        for turn in range(rounds):
            group = groups[turn % len(groups)]
            self._layer.group_add(group, self.channel)
            self.due.append(self._send(group))
            self._layer.group_discard(group, self.channel)
            self._send(group)

    def _send(self, group: str) -> int:
        self._next += 1
        self._layer.send_group(group, {"n": self._next})
        return self._next

    def sent(self, n: int) -> bool:
        """Whether this one has sent the message ``n``."""
        return n // 1_000_000 == self._next // 1_000_000


def hammer(members: list[Member], readers: list[Reader], rounds: int, groups: str) -> None:
    """Let all members run, and see that each of them got what it had to get, and no more."""
    threads = [InThread(member.run, rounds, groups) for member in members]
    for thread in threads:
        thread.outcome()
    for number, member in enumerate(members):
        member._layer.send(member.channel, {"n": -number})
        [reader] = [reader for reader in readers if member.channel.startswith(reader.names)]
        reader.wait_for(-number, member.channel)
        mine = [n for n in reader.numbers(member.channel) if n > 0 and member.sent(n)]
        assert mine == member.due


def test_who_joins_gets_all_later_messages_and_who_leaves_none(new_layer: Layers) -> None:
    worker = new_layer(capacity=10**6)
    with (
        Reader(new_layer(), "ws.P!") as first,
        Reader(new_layer(), "ws.Q!", in_loop=True) as second,
    ):
        channels = [f"ws.{process}!{n}" for process in "PQ" for n in range(4)]
        members = [Member(worker, channel, n + 1) for n, channel in enumerate(channels)]
        hammer(members, [first, second], rounds=40, groups="gh")


def test_two_receivers_of_one_process_find_the_same_members(new_layer: Layers) -> None:
    worker, layer = new_layer(capacity=10**6), new_layer()
    with Reader(layer, "ws.P!") as first, Reader(layer, "ws.P!", in_loop=True) as second:
        second.found = first.found
        members = [Member(worker, f"ws.P!{n}", n + 1) for n in range(4)]
        for thread in [InThread(member.run, 60, "gh") for member in members]:
            thread.outcome()
        for number, member in enumerate(members):
            worker.send(member.channel, {"n": -number})
            first.wait_for(-number, member.channel)
        for member in members:
            mine = [n for n in first.numbers(member.channel) if n > 0 and member.sent(n)]
            # Each receiver keeps its own order.
            assert sorted(mine) == member.due


def exchange_one_by_one(
    layer: RedisChannelLayer, steps: Steps[Any], between: Callable[[], object]
) -> None:
    """Carry out ``steps``, the last request of each first, and do something in between.

    Servers know nothing of each other: what is said to several at once may come in any order.
    """
    said = next(steps)
    while True:
        assert isinstance(said, list)
        answers: list[Any] = [None] * len(said)
        for number in reversed(range(len(said))):
            answers[number] = layer._driver.exchange([said[number]])[0]
            between()
        try:
            said = steps.send(answers)
        except StopIteration:
            return


def test_a_send_in_the_middle_of_a_restoration_does_not_hide_the_members(
    new_layer: Layers, servers: list[RedisServer]
) -> None:
    worker, layer = new_layer(), new_layer()
    groups = "abcdef"
    for group in groups:
        worker.group_add(group, "ws.P!1")
    layer.receive(["ws.P!"])
    for server in servers:
        with server.client() as client:
            client.unlink(*client.scan_iter(f"{layer.prefix}*"))
    steps = layer._receiver.processes.announce(layer._shards.home("ws.P!"), "ws.P!")
    exchange_one_by_one(
        layer, steps, lambda: [worker.send_group(group, {"n": 1}) for group in groups]
    )
    drain(layer, "ws.P!")
    for group in groups:
        worker.send_group(group, {"n": 2})
        assert drain(layer, "ws.P!") == [("ws.P!1", {"n": 2})], group


def test_an_owner_that_somebody_has_joined_for_is_not_struck_off(new_layer: Layers) -> None:
    layer = new_layer()
    home = layer._shards.home("g")
    commands = layer._shards[home].commands

    def say(*said: Command) -> list[Any]:
        return layer._driver.exchange([Request(home, command) for command in said])

    for _ in range(50):
        _, score = say(commands.enlist("g", "ws.P!"), commands.score("g", "ws.P!"))
        # Two saw this score before they left. One strikes, somebody joins, and the other strikes.
        strike = commands.strike("g", "ws.P!", score)
        *_, left = say(strike, commands.enlist("g", "ws.P!"), strike, commands.score("g", "ws.P!"))
        assert left is not None
        say(commands.strike("g", "ws.P!", left))
