"""A layer that is spread over several Redis servers."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from channels.exceptions import ChannelFull, ChannelLayerUnavailable
from channels.layers.redis import RedisChannelLayer
from channels.test.layer_cases.base import (
    InThread,
    drain,
    numbers,
    receive_soon,
    receive_soon_async,
)
from channels.types import Sending

from ..redis_deployments import running_shards
from ..redis_server import RedisServer, wait_until
from ..tcp_proxy import TcpProxy
from .stream import Stream

NewLayer = Callable[..., RedisChannelLayer]

#: Names, and which of three shards they have for their home: for all processes and releases.
HOMES = {
    "http.request.body?Ab3x": 0,
    "one?x": 2,
    "one?y": 2,
    "one?z": 1,
    "websocket.send.P!": 1,
    "http.response.P!": 1,
    "P!": 1,
    "websocket.send.Zk3v9QmX2aLw!": 0,
    "liveblog-1": 2,
    "users": 0,
}


@pytest.fixture
def new_layer() -> Iterator[NewLayer]:
    """Makes layers that share one prefix, and are closed after the test."""
    made: list[RedisChannelLayer] = []
    name = uuid.uuid4().hex

    def make(servers: Any, **options: Any) -> RedisChannelLayer:
        hosts = [("127.0.0.1", server.port) for server in servers]
        made.append(RedisChannelLayer(hosts, f"{name}:", stats_prefix=f"{name}-meta:", **options))
        return made[-1]

    yield make
    for layer in made:
        layer.close()


@pytest.fixture
def layer(new_layer: NewLayer, redis_shards: list[RedisServer]) -> RedisChannelLayer:
    return new_layer(redis_shards)


@pytest.fixture
def servers() -> Iterator[list[RedisServer]]:
    """Three shards of which the test may stop some."""
    with running_shards() as servers:
        yield servers


@contextlib.contextmanager
def unavailable(*words: str) -> Iterator[None]:
    with pytest.raises(ChannelLayerUnavailable) as raised:
        yield
    for word in words:
        assert word in str(raised.value)


def name_at(layer: RedisChannelLayer, shard: int, pattern: str) -> str:
    """A name whose home is a shard."""
    names = (pattern.format(n) for n in range(100))
    return next(name for name in names if layer._shards.home(name) == shard)


def depths(layer: RedisChannelLayer, servers: list[RedisServer], owner: str) -> list[int]:
    return [server.ask("LLEN", layer.prefix + owner) for server in servers]


# Which shard has what


def test_the_home_of_a_name_is_the_same_for_ever(layer: RedisChannelLayer) -> None:
    assert {name: layer._shards.home(name) for name in HOMES} == HOMES


def test_names_are_spread_over_the_shards(layer: RedisChannelLayer) -> None:
    for pattern in ("one?{}", "websocket.send.{}!", "group-{}"):
        homes = Counter(layer._shards.home(pattern.format(n)) for n in range(3000))
        assert min(homes.values()) > 900


@pytest.mark.parametrize(("channel", "owner"), [("one?x", "one?x"), ("ws.P!s", "ws.P!")])
def test_what_has_one_reader_keeps_its_order(
    layer: RedisChannelLayer, redis_shards: list[RedisServer], channel: str, owner: str
) -> None:
    for n in range(0, 30, 3):
        layer.send(channel, {"n": n})
        outcomes = layer.send_many([Sending(channel, {"n": n + more}) for more in (1, 2)])
        assert outcomes == [None, None]
    expected = [0, 0, 0]
    expected[layer._shards.home(owner)] = 30
    assert depths(layer, redis_shards, owner) == expected
    assert numbers(layer, owner) == [*range(30)]


@pytest.mark.parametrize("at_once", [False, True])
def test_normal_channels_use_all_shards_and_a_lone_worker_gets_everything(
    layer: RedisChannelLayer, redis_shards: list[RedisServer], at_once: bool
) -> None:
    if at_once:
        assert layer.send_many([Sending("normal", {"n": n}) for n in range(30)]) == [None] * 30
    else:
        for n in range(30):
            layer.send("normal", {"n": n})
    assert depths(layer, redis_shards, "normal") == [10, 10, 10]
    assert layer.channel_statistics("normal")["messages_pending"] == 30

    async def receive() -> list[int]:
        found = [await receive_soon_async(layer, ["normal"]) for _ in range(10)]
        await layer.close_async()
        return [message["n"] for _, message in found]

    found = [receive_soon(layer, ["normal"])[1]["n"] for _ in range(10)]
    found += asyncio.run(receive())
    assert sorted(found + numbers(layer, "normal")) == [*range(30)]


def test_a_worker_that_waits_hears_of_a_message_in_any_shard(
    layer: RedisChannelLayer, new_layer: NewLayer, redis_shards: list[RedisServer]
) -> None:
    for n, server in enumerate(redis_shards):
        alone = new_layer([server])
        for wait in (
            lambda: receive_soon(layer, ["normal"]),
            lambda: asyncio.run(receive_soon_async(layer, ["normal"])),
        ):
            waiting = InThread(wait)
            wait_until(lambda: blocked(redis_shards) == 3, "the worker waits on all")
            alone.send("normal", {"n": n})
            assert waiting.outcome() == ("normal", {"n": n})
            wait_until(lambda: blocked(redis_shards) == 0, "it waits no more")


def blocked(servers: list[RedisServer]) -> int:
    return sum(server.ask("INFO", "clients")["blocked_clients"] for server in servers)


@pytest.mark.parametrize("capacity", [1, 2, 10, 11, 12])
def test_the_capacity_of_a_channel_is_divided_exactly(
    new_layer: NewLayer, redis_shards: list[RedisServer], capacity: int
) -> None:
    layer = new_layer(redis_shards, capacity=capacity)
    for n in range(capacity):
        layer.send("normal", {"n": n})
    with pytest.raises(ChannelFull, match=f"normal.*{capacity}"):
        layer.send("normal", {})
    [outcome] = layer.send_many([Sending("normal", {})])
    assert isinstance(outcome, ChannelFull)
    found = depths(layer, redis_shards, "normal")
    assert sum(found) == capacity
    assert max(found) - min(found) <= 1
    one_reader = new_layer(redis_shards, capacity=capacity)
    for _ in range(capacity):
        one_reader.send("one?x", {})
    with pytest.raises(ChannelFull):
        one_reader.send("one?x", {})


def test_a_full_shard_keeps_nothing_back_from_the_others(
    new_layer: NewLayer, redis_shards: list[RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.layers.redis.batch.PUSHES_AT_ONCE", 3)
    layer = new_layer(redis_shards, capacity=9)
    for n in range(9):
        layer.send("normal", {"n": n})
    home = layer._shards.home("normal")
    redis_shards[home].ask("DEL", f"{layer.prefix}normal")
    layer.group_add("g", "normal")
    others = [Sending(name_at(layer, home, f"x{n}?{{}}"), {}) for n in range(6)]
    full = [Sending("normal", {}) for _ in range(3)]
    assert (
        layer.send_many([*full, *others, Sending("g", {"n": 9}, to_group=True)])[3:] == [None] * 7
    )
    assert {"n": 9} in [message for _, message in drain(layer, "normal")]


# Groups


def test_a_group_reaches_members_in_all_shards(layer: RedisChannelLayer) -> None:
    members = [name_at(layer, shard, "ws.P{}!") + "s" for shard in range(3)]
    members += [name_at(layer, shard, "one?{}") for shard in range(3)]
    members.append("normal")
    for channel in members:
        layer.group_add("g", channel)
    assert sorted(layer.group_channels("g")) == sorted(members)
    layer.send_group("g", {"n": 1})
    for channel in members:
        owner = channel[:-1] if "!" in channel else channel
        assert drain(layer, owner) == [(channel, {"n": 1})]
    for channel in members:
        layer.group_discard("g", channel)
    assert layer.group_channels("g") == []


def test_one_shard_that_is_away_costs_a_group_only_its_members(
    new_layer: NewLayer, servers: list[RedisServer]
) -> None:
    layer = new_layer(servers)
    group = name_at(layer, 0, "group-{}")
    members = [name_at(layer, shard, "ws.P{}!") + "s" for shard in range(3)]
    for channel in members:
        layer.group_add(group, channel)
    servers[1].stop()
    with unavailable(f"127.0.0.1:{servers[1].port}"):
        layer.send_group(group, {"n": 1})
    for channel in (members[0], members[2]):
        assert drain(layer, channel[:-1]) == [(channel, {"n": 1})]


# Shards that fail


def test_a_dead_shard_takes_what_has_its_home_there_and_nothing_else(
    new_layer: NewLayer, servers: list[RedisServer]
) -> None:
    layer = new_layer(servers)
    dead, alive = name_at(layer, 2, "one?{}"), name_at(layer, 1, "one?{}")
    servers[2].stop()
    for call in (
        lambda: layer.send(dead, {}),
        lambda: layer.receive([dead]),
        lambda: layer.group_add("g", name_at(layer, 2, "ws.P{}!") + "s"),
        lambda: layer.group_channels(name_at(layer, 2, "group-{}")),
        lambda: asyncio.run(layer.send_async(dead, {})),
    ):
        with unavailable(f"127.0.0.1:{servers[2].port}", "cannot be reached", "nothing was sent"):
            call()
    layer.send(alive, {"n": 1})
    assert layer.receive([dead, alive]) == (alive, {"n": 1})


def notice_failures(layer: RedisChannelLayer) -> None:
    """Use all connections: what one that breaks was just used for may have arrived."""
    for _ in range(3):
        with contextlib.suppress(ChannelLayerUnavailable):
            layer.send("other", {})


@pytest.mark.parametrize("is_async", [False, True])
def test_normal_channels_go_on_without_a_dead_shard_and_with_it_when_it_is_back(
    new_layer: NewLayer, servers: list[RedisServer], is_async: bool
) -> None:
    layer = new_layer(servers)

    def receive(count: int) -> list[int]:
        async def receive_async() -> list[int]:
            found = [await receive_soon_async(layer, ["normal"]) for _ in range(count)]
            await layer.close_async()
            return sorted(message["n"] for _, message in found)

        if is_async:
            return asyncio.run(receive_async())
        return sorted(receive_soon(layer, ["normal"])[1]["n"] for _ in range(count))

    layer.send("normal", {"n": -1})
    assert receive(1) == [-1]
    servers[0].stop()
    notice_failures(layer)
    for n in range(6):
        layer.send("normal", {"n": n})
    outcomes = layer.send_many([Sending("normal", {"n": n}) for n in range(6, 12)])
    assert outcomes == [None] * 6
    assert sum(depths(layer, servers[1:], "normal")) == 12
    assert receive(12) == [*range(12)]
    waiting = InThread(receive, 1)
    servers[0].start()
    new_layer(servers[:1]).send("normal", {"n": 12})
    assert waiting.outcome() == [12]


def test_a_stream_goes_on_when_one_shard_is_restarted(
    new_layer: NewLayer, servers: list[RedisServer]
) -> None:
    stream = Stream(new_layer(servers), "normal")
    stream.outlive(servers[1].restart)
    assert len(set(stream.received)) == len(stream.received)
    # What it had when it was stopped is lost; and its answer to the last one may be, too.
    lost = len(set(stream.sent) - set(stream.received))
    assert lost <= len(stream.sent) / 3
    assert len(stream.failures) <= 1


# Once, and in order


def test_several_workers_get_each_message_once(
    new_layer: NewLayer, redis_shards: list[RedisServer]
) -> None:
    found: list[int] = []

    def work() -> None:
        layer = new_layer(redis_shards)
        while (n := receive_soon(layer, ["normal"])[1]["n"]) >= 0:
            found.append(n)

    sender = new_layer(redis_shards)
    workers = [InThread(work) for _ in range(3)]
    for n in range(300):
        sender.send("normal", {"n": n})
    # Empty queues say less: what a worker took together with another message goes back.
    wait_until(lambda: len(found) >= 300, "all is received")
    for _ in workers:
        sender.send("normal", {"n": -1})
    for worker in workers:
        worker.outcome()
    assert sorted(found) == [*range(300)]


@pytest.mark.parametrize("is_async", [False, True])
def test_what_comes_together_with_the_first_goes_back_to_the_front_of_its_queue(
    new_layer: NewLayer, servers: list[RedisServer], is_async: bool
) -> None:
    with TcpProxy(servers[0].port) as near, TcpProxy(servers[1].port) as far:
        layer = new_layer([near, far])
        if is_async:
            waiting = InThread(lambda: asyncio.run(receive_soon_async(layer, ["normal"])))
        else:
            waiting = InThread(receive_soon, layer, ["normal"])
        wait_until(lambda: blocked(servers[:2]) == 2, "the worker waits on both")
        # Both messages are on their way before the first of them arrives.
        near.reply_delay = far.reply_delay = 0.2
        first, second = new_layer(servers[:1]), new_layer(servers[1:2])
        first.send("normal", {"n": 1})
        first.send("normal", {"n": 2})
        second.send("normal", {"n": 3})
        second.send("normal", {"n": 4})
        _, message = waiting.outcome()
        left = [numbers(first, "normal"), numbers(second, "normal")]
        assert (message["n"], left) in [(1, [[2], [3, 4]]), (3, [[1, 2], [4]])]
