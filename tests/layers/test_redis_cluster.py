"""The layer on a Redis Cluster: slots, nodes, and slots that move between nodes."""

from __future__ import annotations

import asyncio
import string
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import AskError, MovedError, ResponseError

from channels.exceptions import ChannelLayerUnavailable
from channels.layers.redis import RedisClusterChannelLayer, errands
from channels.layers.redis.cluster import SLOTS, Nodes, make_tags, slot_of
from channels.layers.redis.command import Command
from channels.layers.redis.hosts import parse_hosts
from channels.test.layer_cases.base import (
    InThread,
    drain,
    numbers,
    receive_soon,
    receive_soon_async,
)

from ..redis_cluster import ClusterDeployment
from ..redis_server import RedisServer, find_bundled_redis_server, find_free_port, wait_until
from .faults import assert_a_child_can_send
from .stream import Stream

NewLayer = Callable[..., RedisClusterChannelLayer]

PASSWORD = "secret"


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterDeployment]:
    """A cluster with a password; who breaks it mends it, too."""
    with ClusterDeployment(password=PASSWORD) as deployment:
        yield deployment


@pytest.fixture
def fragile() -> Iterator[ClusterDeployment]:
    """A cluster with a replica: for one test each, as there is no vote on it twice in a while."""
    with ClusterDeployment(replica=True) as deployment:
        yield deployment


@pytest.fixture
def new_layer(cluster: ClusterDeployment) -> Iterator[NewLayer]:
    """Makes layers, which are empty at first, and closed after the test."""
    made: list[RedisClusterChannelLayer] = []

    def make(hosts: Any = None, **options: Any) -> RedisClusterChannelLayer:
        host, port = cluster.hosts[1]
        hosts = hosts or [{"host": host, "port": port, "password": PASSWORD}]
        made.append(RedisClusterChannelLayer(hosts, **options))
        return made[-1]

    yield make
    for layer in made:
        layer.close()
    for node in cluster.masters:
        node.ask("FLUSHALL")


@pytest.fixture
def layer(new_layer: NewLayer) -> RedisClusterChannelLayer:
    return new_layer()


@contextmanager
def unavailable(*words: str) -> Iterator[None]:
    with pytest.raises(ChannelLayerUnavailable) as raised:
        yield
    for word in words:
        assert word in str(raised.value)


def channel_in(layer: RedisClusterChannelLayer, shard: int, pattern: str = "one?{}") -> str:
    """A channel, or a group, that is in a shard."""
    names = (pattern.format(n) for n in range(1000))
    return next(name for name in names if layer._shards.home(name) == shard)


def process_in(layer: RedisClusterChannelLayer, shard: int) -> str:
    return channel_in(layer, shard, "ws.P{}!")


def slot_of_shard(layer: RedisClusterChannelLayer, shard: int) -> int:
    return slot_of(layer._tags[shard])


def shard_of(
    layer: RedisClusterChannelLayer, cluster: ClusterDeployment, node: RedisServer
) -> int:
    """A shard that is on a node."""
    return next(n for n in range(6) if cluster.node_of(slot_of_shard(layer, n)) is node)


def another_master(cluster: ClusterDeployment, slot: int) -> RedisServer:
    return next(node for node in cluster.masters if node is not cluster.node_of(slot))


def migrate(cluster: ClusterDeployment, layer: RedisClusterChannelLayer, shard: int) -> None:
    slot = slot_of_shard(layer, shard)
    cluster.migrate_slot(slot, another_master(cluster, slot))


# Configuration


@pytest.mark.parametrize("shards", [0, -1, 17, 2.5, "6", None, True])
def test_a_number_of_shards_that_is_none_is_an_error(shards: Any) -> None:
    with pytest.raises(ValueError, match=r"^shards must be "):
        RedisClusterChannelLayer([("localhost", 1)], shards=shards)


@pytest.mark.parametrize("setting", ["prefix", "stats_prefix"])
def test_a_hash_tag_in_a_prefix_is_an_error_that_names_it(setting: str) -> None:
    with pytest.raises(ValueError, match=f"^{setting} must be without '{{'.*'{{app}}:'"):
        RedisClusterChannelLayer([("localhost", 1)], **{setting: "{app}:"})  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["unix:///run/redis.sock", {"unix_socket_path": "/run/redis"}])
def test_a_socket_in_the_place_of_a_node_is_an_error_with_the_remedy(host: Any) -> None:
    with pytest.raises(ValueError, match=r"^hosts begins with unix:.*host and port"):
        RedisClusterChannelLayer([host])


def test_what_the_first_host_says_goes_for_all_nodes(
    cluster: ClusterDeployment, new_layer: NewLayer
) -> None:
    host, port = cluster.hosts[0]
    for hosts, options in (
        ([f"redis://:{PASSWORD}@{host}:{port}/0"], {}),
        (cluster.hosts, {"connection_kwargs": {"password": PASSWORD}}),
    ):
        layer = new_layer(hosts, **options)
        for n in range(6):
            layer.send("a", {"n": n})
        assert sorted(numbers(layer, "a")) == [*range(6)]
    with unavailable("uthentication"):
        new_layer(cluster.hosts).send("a", {})


# Shards


def test_the_hash_tags_of_the_shards_never_change() -> None:
    assert make_tags(1) == ["12"]
    assert make_tags(3) == ["65", "12", "0"]
    assert make_tags(6) == ["21", "15", "73", "23", "13", "71"]
    assert make_tags(16)[::3] == ["18", "223", "64", "23", "264", "48"]


@pytest.mark.parametrize("count", range(1, 17))
def test_the_slots_of_the_shards_are_spread_evenly(count: int) -> None:
    slots = [slot_of(tag) for tag in make_tags(count)]
    for masters in range(1, count + 1):
        each = Counter(slot * masters // SLOTS for slot in slots)
        assert len(each) == masters
        assert max(each.values()) - min(each.values()) <= 1


def test_all_keys_of_a_shard_are_in_its_slot_and_all_masters_have_some(
    cluster: ClusterDeployment, layer: RedisClusterChannelLayer
) -> None:
    layer.capacity = 1
    for letter in string.ascii_lowercase:
        for channel in (letter, f"{letter}?x", f"ws.{letter}!s"):
            layer.group_add(f"group-{letter}", channel)
            layer.send(channel, {})
        layer.receive([f"ws.{letter}!"])
    layer.send_group("group-a", {})
    slots = {slot_of(tag) for tag in layer._tags}
    for node in cluster.masters:
        keys = node.ask("KEYS", "*")
        assert len(keys) > 50
        assert {cluster.slot_of(key) for key in keys} <= slots
    layer.flush()
    left = [key for node in cluster.masters for key in node.ask("KEYS", "*")]
    assert sorted(left) == sorted(f"asgi:{{{tag}}}flushed:".encode() for tag in layer._tags)


def test_a_group_reaches_members_in_all_shards(layer: RedisClusterChannelLayer) -> None:
    members = sorted(process_in(layer, shard) + "s" for shard in range(6))
    for channel in members:
        layer.group_add("g", channel)
    layer.send_group("g", {"n": 1})
    assert sorted(layer.group_channels("g")) == members
    for channel in members:
        assert drain(layer, channel[:-1]) == [(channel, {"n": 1})]


def test_there_is_one_pool_for_each_node_and_one_waiting_connection_for_each_shard(
    cluster: ClusterDeployment, layer: RedisClusterChannelLayer
) -> None:
    waiting = InThread(receive_soon, layer, ["a"])

    def blocked() -> int:
        return sum(node.ask("INFO", "clients")["blocked_clients"] for node in cluster.masters)

    wait_until(lambda: blocked() == 6, "the receiver waits on all shards")
    for _ in range(6):
        layer.send("b", {})
    assert len(layer._driver._servers) == 3
    layer.send("a", {"n": 1})
    assert waiting.outcome() == ("a", {"n": 1})


# Finding nodes


def test_one_of_the_hosts_is_enough_and_none_is_an_error_that_names_them(
    cluster: ClusterDeployment, new_layer: NewLayer
) -> None:
    away = {"host": "127.0.0.1", "port": find_free_port(), "password": PASSWORD}
    _, port = cluster.hosts[2]
    layer = new_layer([away, {**away, "port": port}])
    layer.send("a?b", {"n": 1})
    assert layer.receive(["a?b"]) == ("a?b", {"n": 1})
    with unavailable("hosts must name nodes", f"127.0.0.1:{away['port']}", "cannot be reached"):
        new_layer([away]).send("a?b", {})


def test_a_server_that_is_no_cluster_is_an_error_that_says_so(redis_url: str) -> None:
    layer = RedisClusterChannelLayer([redis_url])
    with unavailable("cluster support disabled"):
        layer.send("a?b", {})
    layer.close()


def test_a_node_that_announces_no_address_is_where_it_was_asked(tmp_path: Path) -> None:
    # It has met nobody who could have told it.
    with RedisServer("cluster-enabled yes", f"dir {tmp_path}") as node:
        node.ask("CLUSTER", "ADDSLOTS", *range(SLOTS))
        assert not node.ask("CLUSTER", "SLOTS")[0][2][0]
        wait_until(lambda: b"cluster_state:ok" in node.ask("CLUSTER", "INFO"), "it is ready")
        layer = RedisClusterChannelLayer([node.url])
        layer.send("a?b", {"n": 1})
        assert layer.receive(["a?b"]) == ("a?b", {"n": 1})
        layer.close()


def in_url(address: str) -> str:
    name, _, port = address.rpartition(":")
    return f"[{name}]:{port}" if ":" in name else address


@pytest.mark.parametrize(
    ("words", "address"),
    [
        ("MOVED 5 10.0.0.1:7001", "10.0.0.1:7001"),
        ("MOVED 5 ::1:7001", "::1:7001"),
        ("MOVED 5 node-b.internal:7001", "node-b.internal:7001"),
        ("MOVED 5 :7001", "10.0.0.9:7001"),
        ("MOVED 5 ?:7001", "10.0.0.9:7001"),
        ("ASK 5 10.0.0.1:7001", "10.0.0.1:7001"),
    ],
)
@pytest.mark.parametrize(
    "url", ["redis://10.0.0.9:7000", "rediss://ann:pass@10.0.0.9:7000/0?client_name=a"]
)
def test_the_node_that_a_command_is_sent_to(words: str, address: str, url: str) -> None:
    [asked] = parse_hosts([url], None)
    code, _, rest = words.partition(" ")
    classes = {"MOVED": MovedError, "ASK": AskError}
    # As redis-py says it, depending on its release.
    for error in (ResponseError(words), classes[code](rest)):
        nodes = Nodes([asked], [5])
        redirect = nodes.redirect(5, error, asked)
        assert redirect
        assert redirect.host
        assert redirect.host.address == address
        assert (redirect.asking, nodes.host(5)) == (
            (True, None) if code == "ASK" else (False, redirect.host)
        )
        assert redirect.host.url == url.replace("10.0.0.9:7000", in_url(address))


def test_a_fork_while_a_node_is_looked_for_does_not_block_the_child(
    layer: RedisClusterChannelLayer,
) -> None:
    assert_a_child_can_send(layer, layer._directory._lock)


# Slots that move


def moved(cluster: ClusterDeployment) -> int:
    """How many commands the nodes have sent elsewhere so far."""
    counts = (node.ask("INFO", "errorstats") for node in cluster.masters)
    return sum(count.get("errorstat_MOVED", {"count": 0})["count"] for count in counts)


def test_a_slot_that_has_moved_is_followed_for_good(
    cluster: ClusterDeployment, layer: RedisClusterChannelLayer
) -> None:
    channel = channel_in(layer, 2)
    layer.send(channel, {"n": 0})
    before = moved(cluster)
    migrate(cluster, layer, 2)
    for n in range(1, 4):
        layer.send(channel, {"n": n})
    assert numbers(layer, channel) == [0, 1, 2, 3]
    assert moved(cluster) == before + 1


async def test_asyncio_follows_a_slot_too(
    cluster: ClusterDeployment, layer: RedisClusterChannelLayer
) -> None:
    channel = channel_in(layer, 3)
    await layer.send_async(channel, {"n": 0})
    await asyncio.to_thread(migrate, cluster, layer, 3)
    await layer.send_async(channel, {"n": 1})
    found = [await receive_soon_async(layer, [channel]) for _ in range(2)]
    assert found == [(channel, {"n": 0}), (channel, {"n": 1})]
    await layer.close_async()


def test_an_empty_slot_that_is_just_moved_is_asked_for_at_its_target(
    cluster: ClusterDeployment, layer: RedisClusterChannelLayer
) -> None:
    slot = slot_of_shard(layer, 4)
    source, target = cluster.node_of(slot), another_master(cluster, slot)
    channel = channel_in(layer, 4)
    waiting = InThread(layer.receive, [channel], True)
    cluster.begin_migration(slot, target)
    # One key alone goes to the target at once, and is found there.
    request = errands.Request(4, layer._shards[4].commands.give_back(channel, []))
    assert layer._driver.exchange([request]) == [0]
    assert source.ask("INFO", "errorstats")["errorstat_ASK"]["count"] >= 1
    assert waiting.outcome() == (None, None)
    cluster.end_migration(slot, target)
    layer.send(channel, {"n": 1})
    assert layer.receive([channel], block=True) == (channel, {"n": 1})


def test_a_send_waits_until_its_slot_has_been_moved(
    cluster: ClusterDeployment, layer: RedisClusterChannelLayer
) -> None:
    slot = slot_of_shard(layer, 1)
    source, target = cluster.node_of(slot), another_master(cluster, slot)
    channel = channel_in(layer, 1)
    layer.send(channel, {"n": 1})
    cluster.begin_migration(slot, target)
    cluster.move_keys(slot, target, f"asgi:{{{layer._tags[1]}}}{channel}")
    sending = InThread(layer.send, channel, {"n": 2})
    sending_too = InThread(lambda: asyncio.run(layer.send_async(channel, {"n": 2})))

    def try_agains() -> int:
        counts = (node.ask("INFO", "errorstats") for node in (source, target))
        return sum(count.get("errorstat_TRYAGAIN", {"count": 0})["count"] for count in counts)

    wait_until(lambda: try_agains() > 5, "the sends are told to try again")
    cluster.move_keys(slot, target)
    cluster.end_migration(slot, target)
    sending.outcome()
    sending_too.outcome()
    assert numbers(layer, channel) == [1, 2, 2]


def test_a_slot_that_is_moved_by_half_costs_only_what_is_in_it(
    cluster: ClusterDeployment, layer: RedisClusterChannelLayer, monkeypatch: Any
) -> None:
    monkeypatch.setattr(errands, "MOVING_PATIENCE", 0.2)
    slot = slot_of_shard(layer, 5)
    target = another_master(cluster, slot)
    channel = channel_in(layer, 5)
    layer.send(channel, {"n": 1})
    cluster.begin_migration(slot, target)
    cluster.move_keys(slot, target, f"asgi:{{{layer._tags[5]}}}{channel}")
    with unavailable("refused", "no effect"):
        layer.send(channel, {"n": 2})
    for n in range(12):
        layer.send("normal", {"n": n})
    assert sorted(receive_soon(layer, ["normal"])[1]["n"] for _ in range(12)) == [*range(12)]
    cluster.move_keys(slot, target)
    cluster.end_migration(slot, target)
    assert receive_soon(layer, [channel]) == (channel, {"n": 1})


def test_what_comes_behind_a_wait_that_cannot_begin_is_not_lost(
    cluster: ClusterDeployment, layer: RedisClusterChannelLayer
) -> None:
    process, commands = process_in(layer, 0), layer._shards[0].commands
    for n in range(3):
        layer.send(f"{process}s", {"n": n})
    slot = slot_of_shard(layer, 0)
    target = another_master(cluster, slot)
    cluster.begin_migration(slot, target)
    # There is one of the two queues, so that nobody can wait for both.
    wait = commands.block([process, process.replace("ws.", "http.")], 1)
    take = Command("LPOP", commands.prefix + process, 10)
    answers = layer._driver.exchange([errands.Request(0, wait), errands.Request(0, take)])
    assert answers[0] is None
    assert len(answers[1]) == 3
    cluster.move_keys(slot, target)
    cluster.end_migration(slot, target)


def test_a_wait_that_cannot_begin_is_refused_before_long(
    cluster: ClusterDeployment, layer: RedisClusterChannelLayer
) -> None:
    process, commands = process_in(layer, 0), layer._shards[0].commands
    layer.send(f"{process}s", {"n": 1})
    slot = slot_of_shard(layer, 0)
    target = another_master(cluster, slot)
    cluster.begin_migration(slot, target)
    wait = commands.block([process, process.replace("ws.", "http.")], 1)
    [answer] = layer._driver.exchange([errands.Request(0, wait)])
    cluster.move_keys(slot, target)
    cluster.end_migration(slot, target)
    assert isinstance(answer, ChannelLayerUnavailable)
    assert numbers(layer, process) == [1]


@pytest.mark.parametrize("channel", ["p!s", "one?x", "normal"])
def test_a_slot_moves_under_a_stream_and_everything_arrives(
    cluster: ClusterDeployment, layer: RedisClusterChannelLayer, channel: str
) -> None:
    process = "p!" if "!" in channel else None
    stream = Stream(layer, channel, process)
    shard = layer._shards.home(process or channel)
    stream.outlive(lambda: migrate(cluster, layer, shard))
    assert stream.failures == []
    if channel == "normal":
        stream.received.sort()
    assert stream.received == stream.sent


# Nodes that fail


@pytest.mark.parametrize("break_it", ["fail_over", "kill_master"])
def test_a_replica_takes_over_under_a_stream_and_nothing_arrives_twice(
    fragile: ClusterDeployment, new_layer: NewLayer, break_it: str
) -> None:
    layer = new_layer(fragile.hosts[1:2])
    process = process_in(layer, shard_of(layer, fragile, fragile.replicated_master()))
    stream = Stream(layer, f"{process}s", process)
    stream.outlive(getattr(fragile, break_it))
    # The new master does not know the last of what the old one took.
    assert stream.received == sorted(set(stream.received))
    assert len(stream.received) > len(stream.sent) / 2


def test_a_normal_channel_and_memberships_outlive_a_master(
    fragile: ClusterDeployment, new_layer: NewLayer
) -> None:
    layer = new_layer(fragile.hosts[1:2])
    process = process_in(layer, shard_of(layer, fragile, fragile.replicated_master()))
    layer.group_add("g", f"{process}s")
    assert layer.receive([process], block=True) == (None, None)

    def kill_and_lose() -> None:
        fragile.kill_master().ask("FLUSHALL")

    stream = Stream(layer, "normal")
    stream.outlive(kill_and_lose)
    assert len(stream.received) == len(set(stream.received))
    waiting = InThread(receive_soon, layer, [process])
    wait_until(lambda: layer.group_channels("g") == [f"{process}s"], "it has put them back")
    layer.send_group("g", {"n": 1})
    assert waiting.outcome() == (f"{process}s", {"n": 1})


def test_a_cluster_that_is_down_for_a_moment_is_waited_for(
    cluster: ClusterDeployment, layer: RedisClusterChannelLayer
) -> None:
    layer.send("a?b", {"n": 1})
    node = cluster.node_of(0)
    for each in cluster.nodes:
        each.ask("CLUSTER", "DELSLOTS", 0)
    with unavailable("down"):
        layer.receive(["a?b"])
    sending = InThread(layer.send, "a?b", {"n": 2})
    node.ask("CLUSTER", "ADDSLOTS", 0)
    sending.outcome()
    assert numbers(layer, "a?b") == [1, 2]


def test_a_dead_node_costs_only_what_is_on_it(
    cluster: ClusterDeployment, new_layer: NewLayer
) -> None:
    with ClusterDeployment(node_timeout=60_000) as own:
        layer = new_layer(own.hosts[1:2])
        channel = channel_in(layer, 0)
        for n in range(6):
            layer.send("normal", {"n": n})
        layer.send(channel, {"n": 0})
        own.node_of(slot_of_shard(layer, 0)).kill()
        with unavailable(f"127.0.0.1:{own.nodes[0].port}"):
            layer.send(channel, {"n": 1})
        for n in range(6, 12):
            layer.send("normal", {"n": n})
        # Two of six shards were on the node.
        assert len([receive_soon(layer, ["normal"]) for _ in range(10)]) == 10


def test_a_cluster_of_the_oldest_version_works_too(new_layer: NewLayer) -> None:
    with ClusterDeployment(binary=find_bundled_redis_server()) as own:
        layer = new_layer(own.hosts[:1])
        for channel in ("ws.P!s", "one?x", "normal"):
            process = "ws.P!" if "!" in channel else None
            stream = Stream(layer, channel, process)
            shard = layer._shards.home(process or channel)
            stream.outlive(lambda shard=shard: migrate(own, layer, shard))  # type: ignore[misc]
            assert stream.failures == []
            assert sorted(stream.received) == stream.sent
