"""What the Redis layer tells an operator about itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import redis

from channels.exceptions import ChannelLayerUnavailable
from channels.layers.redis import RedisChannelLayer
from channels.layers.redis.errands import FixedLocation
from channels.layers.redis.hosts import parse_hosts

from ..redis_cluster import ClusterDeployment
from ..redis_server import RedisServer, wait_until
from .test_redis import Commands

Config = dict[str, Any]
MakeLayer = Callable[..., RedisChannelLayer]


@pytest.fixture
def new_layer(redis_config: Config) -> Iterator[MakeLayer]:
    """Makes layers that share one prefix."""
    made: list[RedisChannelLayer] = []

    def make(**config: Any) -> RedisChannelLayer:
        made.append(RedisChannelLayer(**{**redis_config, **config}))
        return made[-1]

    yield make
    for layer in made:
        layer.close()


@pytest.fixture(params=["one server", "three shards"])
def layer(
    request: pytest.FixtureRequest, redis_config: Config, new_layer: MakeLayer
) -> RedisChannelLayer:
    if request.param == "one server":
        return new_layer()
    servers: Sequence[RedisServer] = request.getfixturevalue("redis_shards")
    return new_layer(hosts=[server.url for server in servers])


def called(name: str, records: list[Config]) -> Config:
    """The one record of that name."""
    [record] = [record for record in records if record["name"] == name]
    return record


def looks_into_lists(client: redis.Redis) -> int:
    """How many entries were looked at by index, by scripts too."""
    calls: int = client.info("commandstats").get("cmdstat_lindex", {"calls": 0})["calls"]
    return calls


def kill(client: redis.Redis, layer: RedisChannelLayer, owner: str) -> None:
    """Let a process count as dead, as if it had not announced itself for long."""
    assert client.zadd(f"{layer.prefix}alive:", {owner: 1}, xx=True, ch=True) == 1


def test_an_empty_layer(layer: RedisChannelLayer) -> None:
    found = layer.describe()
    assert found["prefix"] == layer.prefix
    assert found["expiry"] == 60
    assert [shard["error"] for shard in found["shards"]] == [None] * len(found["shards"])
    for name in ("channels", "groups", "processes", "wrong_keys"):
        assert found[name] == []
    assert found["statistics"] == {
        "messages_count": 0,
        "messages_pending": 0,
        "channel_full_count": 0,
    }


def test_it_is_plain_data(layer: RedisChannelLayer) -> None:
    layer.send("a", {})
    layer.group_add("g", "x.p!s")
    layer.receive(["x.p!"])
    found = layer.describe()
    assert json.loads(json.dumps(found)) == found


def test_servers_are_named_without_their_passwords() -> None:
    with RedisServer(password="hush") as server:
        layer = RedisChannelLayer([server.url])
        assert layer.describe()["shards"] == [
            {"server": f"127.0.0.1:{server.port}", "error": None}
        ]
        layer.close()


def test_a_channel_with_its_messages(layer: RedisChannelLayer) -> None:
    for _ in range(7):
        layer.send("work", {})
    layer.receive(["work"])
    work = called("work", layer.describe()["channels"])
    assert 0 <= work.pop("messages_max_age") < 30
    assert work == {
        "name": "work",
        "messages_pending": 6,
        "capacity": 1000,
        "messages_count": 7,
        "channel_full_count": 0,
        "queues": 1,
        "queues_full": 0,
    }


def test_the_age_is_that_of_the_oldest_message(new_layer: MakeLayer) -> None:
    new_layer(expiry=20).send("work", {})
    layer = new_layer()
    layer.send("work", {})
    assert 40 <= called("work", layer.describe()["channels"])["messages_max_age"] < 50


def test_what_has_expired_does_not_wait(new_layer: MakeLayer) -> None:
    layer, hasty = new_layer(), new_layer(expiry=0.05)
    for _ in range(9):
        hasty.send("work", {})
    for _ in range(3):
        layer.send("work", {})

    def pending() -> Any:
        return called("work", layer.describe()["channels"])["messages_pending"]

    wait_until(lambda: pending() == 3, "the first messages have expired")
    assert called("work", layer.describe()["channels"])["messages_max_age"] < 40


def test_a_queue_of_which_everything_has_expired_is_empty(new_layer: MakeLayer) -> None:
    layer, hasty = new_layer(), new_layer(expiry=0.05)
    layer.send("work", {})
    hasty.send("work", {})
    layer.receive(["work"])

    def work() -> Any:
        return called("work", layer.describe()["channels"])

    wait_until(lambda: work()["messages_pending"] == 0, "the message has expired")
    assert (work()["messages_max_age"], work()["queues"]) == (0, 0)


def test_a_long_queue_that_has_expired_is_not_walked_through(
    redis_layer: RedisChannelLayer, client: redis.Redis
) -> None:
    redis_layer.send("work", {})
    key = f"{redis_layer.prefix}work"
    entry = client.lindex(key, 0)
    client.lpush(key, *[b"\x011 " + entry.partition(b" ")[2]] * 500)
    for look in (redis_layer.describe, lambda: redis_layer.channel_statistics("work")):
        before = looks_into_lists(client)
        look()
        assert looks_into_lists(client) - before < 20
    found = redis_layer.channel_statistics("work")
    assert (found["messages_pending"], found["messages_count"]) == (1, 1)
    assert found["messages_max_age"] < 30


def test_full_channels_come_first_and_idle_ones_last(new_layer: MakeLayer) -> None:
    layer = new_layer(channel_capacity={"tiny": 2})
    for channel, number in {"some": 3, "many": 5, "tiny": 2, "idle": 1}.items():
        for _ in range(number):
            layer.send(channel, {})
    with pytest.raises(layer.ChannelFull):
        layer.send("tiny", {})
    layer.receive(["idle"])
    found = layer.describe()
    assert [record["name"] for record in found["channels"]] == ["tiny", "many", "some", "idle"]
    tiny = found["channels"][0]
    assert (tiny["queues_full"], tiny["capacity"], tiny["channel_full_count"]) == (1, 2, 1)
    assert found["statistics"] == {
        "messages_count": 11,
        "messages_pending": 10,
        "channel_full_count": 1,
    }


def test_single_reader_channels_are_summed_up(layer: RedisChannelLayer) -> None:
    names = [layer.new_channel("body?") for _ in range(1100)]
    for name in names:
        layer.send(name, {})
    layer.send(names[0], {})
    layer.receive([names[1]])
    [body] = layer.describe()["channels"]
    assert body["name"] == "body?"
    assert (body["messages_pending"], body["queues"], body["messages_count"]) == (1100, 1099, 1101)


def test_a_single_reader_channel_is_full_by_itself(new_layer: MakeLayer) -> None:
    layer = new_layer(channel_capacity={re.compile(r"body\?.+"): 3})
    for name, number in {"body?a": 3, "body?b": 2, "body?c": 3}.items():
        for _ in range(number):
            layer.send(name, {})
    [body] = layer.describe()["channels"]
    assert (body["capacity"], body["queues_full"]) == (3, 2)


def test_processes_with_what_waits_for_them(layer: RedisChannelLayer) -> None:
    for process in ("P1", "P2"):
        assert layer.receive([f"http.response.{process}!", f"websocket.send.{process}!"])
    for _ in range(3):
        layer.send("websocket.send.P2!s", {})
    layer.send("http.response.P2!s", {})
    found = layer.describe()
    second, first = found["processes"]
    assert (first["name"], first["alive"], first["messages_pending"]) == ("P1", True, 0)
    assert (second["name"], second["alive"], second["messages_pending"]) == ("P2", True, 4)
    assert 0 <= first["last_seen"] < 30
    assert 0 <= second["messages_max_age"] < 30
    assert [(c["name"], c["messages_pending"]) for c in found["channels"]] == [
        ("websocket.send.*!", 3),
        ("http.response.*!", 1),
    ]


def test_a_process_that_is_full(new_layer: MakeLayer) -> None:
    layer = new_layer(channel_capacity={"x.*": 2})
    layer.receive(["x.p!"])
    layer.send("x.p!s", {})
    layer.send("x.p!t", {})
    found = layer.describe()
    assert called("p", found["processes"])["queues_full"] == 1
    assert called("x.*!", found["channels"])["capacity"] == 2


def test_a_process_that_is_dead(redis_layer: RedisChannelLayer, client: redis.Redis) -> None:
    redis_layer.receive(["x.p!"])
    kill(client, redis_layer, "x.p!")
    process = called("p", redis_layer.describe()["processes"])
    assert process["alive"] is False
    assert process["last_seen"] > 3600


def test_a_process_was_seen_when_it_last_read_any_of_its_queues(
    redis_layer: RedisChannelLayer, client: redis.Redis
) -> None:
    redis_layer.receive(["x.p!", "y.p!"])
    kill(client, redis_layer, "x.p!")
    [process] = redis_layer.describe()["processes"]
    assert process["alive"] is True
    assert process["last_seen"] < 30


def test_messages_for_a_process_that_never_was(redis_layer: RedisChannelLayer) -> None:
    redis_layer.send("x.p!s", {})
    process = called("p", redis_layer.describe()["processes"])
    assert (process["alive"], process["last_seen"]) == (False, None)


def test_groups_with_their_members_and_processes(layer: RedisChannelLayer) -> None:
    for number in range(260):
        layer.group_add(f"small{number}", f"x.p{number}!s")
    for process in ("p1", "p2", "p3"):
        for socket in range(5):
            layer.group_add("big", f"x.{process}!s{socket}")
    layer.group_add("big", "plain")
    layer.group_discard("big", "x.p1!s0")
    groups = layer.describe()["groups"]
    assert len(groups) == 261
    assert groups[0] == {"name": "big", "members": 15, "processes": 3}
    assert all(group["members"] == group["processes"] == 1 for group in groups[1:])


def test_the_members_of_a_dead_process_do_not_count(
    redis_layer: RedisChannelLayer, client: redis.Redis
) -> None:
    for process in ("x.p!", "x.q!"):
        redis_layer.receive([process])
        redis_layer.group_add("g", f"{process}s")
    redis_layer.group_add("deserted", "x.p!s")
    kill(client, redis_layer, "x.p!")
    assert redis_layer.describe()["groups"] == [{"name": "g", "members": 1, "processes": 1}]


@pytest.mark.parametrize("lives", [True, False])
def test_of_a_process_only_its_home_knows_whether_it_lives(
    new_layer: MakeLayer, redis_shards: list[RedisServer], lives: bool
) -> None:
    layer = new_layer(hosts=[server.url for server in redis_shards])
    layer.group_add("g", "x.p!s")
    home = layer._shards.home("x.p!")
    for number, server in enumerate(redis_shards):
        says_so = lives if number == home else not lives
        server.ask("ZADD", f"{layer.prefix}alive:", 1 << 50 if says_so else 1, "x.p!")
    found = layer.describe()
    assert called("p", found["processes"])["alive"] is lives
    assert [group["members"] for group in found["groups"]] == ([1] if lives else [])


def test_a_process_that_its_home_has_buried_is_gone_though_others_remember_it(
    new_layer: MakeLayer, redis_shards: list[RedisServer]
) -> None:
    layer = new_layer(hosts=[server.url for server in redis_shards])
    other = (layer._shards.home("x.p!") + 1) % len(redis_shards)
    redis_shards[other].ask("ZADD", f"{layer.prefix}alive:", 1, "x.p!")
    assert layer.describe()["processes"] == []


def test_members_whose_time_is_up_do_not_count(
    redis_layer: RedisChannelLayer, client: redis.Redis
) -> None:
    redis_layer.group_add("g", "x.p!s")
    redis_layer.group_add("g", "x.p!t")
    redis_layer.group_add("g", "plain")
    client.zadd(f"{redis_layer.prefix}sockets:g:x.p!", {"s": 1}, xx=True)
    client.zadd(f"{redis_layer.prefix}group:g", {"plain": 1}, xx=True)
    assert redis_layer.describe()["groups"] == [{"name": "g", "members": 1, "processes": 1}]


def test_looking_changes_nothing_and_asks_little(
    redis_layer: RedisChannelLayer, client: redis.Redis
) -> None:
    redis_layer.receive(["x.p!"])
    for number in range(150):
        redis_layer.send(f"body?{number}", {})
        redis_layer.group_add("g", f"x.p!{number}")
    redis_layer.describe()
    pattern = redis_layer.prefix.removesuffix(":") + "*"
    before = {key: (client.dump(key), client.type(key)) for key in client.scan_iter(pattern)}
    with Commands(client) as commands:
        redis_layer.describe()
    assert {key: (client.dump(key), client.type(key)) for key in before} == before
    assert set(commands) == {"TIME", "SCAN", "EVALSHA", "HMGET", "ZRANGE", "ZCOUNT"}
    assert commands["EVALSHA"] == 2
    assert commands.total() - commands["SCAN"] < 20


def test_a_shard_that_does_not_answer_leaves_the_others(new_layer: MakeLayer) -> None:
    with RedisServer() as first, RedisServer() as second:
        layer = new_layer(hosts=[first.url, second.url])
        for _ in range(4):
            layer.send("work", {})
        layer.group_add("g", "plain")
        second.stop()
        found = layer.describe()
        good, bad = found["shards"]
        assert good == {"server": f"127.0.0.1:{first.port}", "error": None}
        assert bad["server"] == f"127.0.0.1:{second.port}"
        assert "cannot be reached" in bad["error"]
        work = called("work", found["channels"])
        assert (work["messages_pending"], work["capacity"], work["queues_full"]) == (2, 500, 0)


def test_a_channel_is_full_when_it_is_so_on_the_shards_that_answer(new_layer: MakeLayer) -> None:
    with RedisServer() as first, RedisServer() as second:
        layer = new_layer(hosts=[first.url, second.url], capacity=5)
        second.stop()
        for _ in range(3):
            layer.send("work", {})
        work = called("work", layer.describe()["channels"])
        assert (work["messages_pending"], work["capacity"], work["queues_full"]) == (3, 3, 1)


def test_groups_are_told_without_the_sockets_of_a_shard_that_does_not_answer(
    new_layer: MakeLayer,
) -> None:
    with RedisServer() as first, RedisServer() as second:
        servers = [first, second]
        layer = new_layer(hosts=[server.url for server in servers])
        group = next(name for name in map(str, range(99)) if layer._shards.home(name) == 0)
        here, there = (
            next(name for name in "abcdefghijklm" if layer._shards.home(f"{name}!") == shard)
            for shard in (0, 1)
        )
        for process in (here, there):
            layer.group_add(group, f"{process}!s")
        second.stop()
        assert layer.describe()["groups"] == [{"name": group, "members": 1, "processes": 1}]


def test_what_is_known_is_told_when_a_server_fails_on_the_way(redis_config: Config) -> None:
    with RedisServer("user ann on >secret ~* &* +@all -zcount") as server:
        boss = RedisChannelLayer(**{**redis_config, "hosts": [server.url]})
        boss.send("work", {})
        boss.group_add("g", "x.p!s")
        url = f"redis://ann:secret@127.0.0.1:{server.port}/0"
        layer = RedisChannelLayer(**{**redis_config, "hosts": [url]})
        found = layer.describe()
        assert "refused the command" in found["shards"][0]["error"]
        assert found["statistics"]["messages_count"] == 1
        assert found["groups"] == []
        for each in (boss, layer):
            each.close()


class TaggedLayer(RedisChannelLayer):
    """Shards on the nodes of a cluster, each of them within one hash slot."""

    tags: tuple[str, ...] = ()

    def _place_shards(self, hosts: Any, connection_kwargs: Any) -> Any:
        super()._place_shards(hosts, connection_kwargs)
        places = zip(parse_hosts(hosts, connection_kwargs), self.tags, strict=True)
        return [(FixedLocation(host), tag) for host, tag in places]


def test_no_command_is_about_more_than_one_slot(
    redis_cluster: ClusterDeployment, redis_config: Config
) -> None:
    def tag_of(node: RedisServer) -> str:
        tags = (f"{{{number}}}" for number in range(10_000))
        return next(
            tag for tag in tags if redis_cluster.node_of(redis_cluster.slot_of(tag)) is node
        )

    TaggedLayer.tags = tuple(map(tag_of, redis_cluster.masters))
    hosts = [("127.0.0.1", node.port) for node in redis_cluster.masters]
    layer = TaggedLayer(**{**redis_config, "hosts": hosts})
    for number in range(30):
        layer.send("work", {})
        layer.send(f"body?{number}", {})
        layer.group_add(f"g{number % 3}", f"x.p{number}!s")
        layer.receive([f"x.p{number}!"])
    found = layer.describe()
    assert [shard["error"] for shard in found["shards"]] == [None] * 3
    assert called("work", found["channels"])["messages_pending"] == 30
    assert called("body?", found["channels"])["queues"] == 30
    assert [group["members"] for group in found["groups"]] == [10, 10, 10]
    assert len(found["processes"]) == 30
    layer.flush()
    assert layer.describe()["channels"] == []
    layer.close()


def test_what_others_keep_under_a_longer_prefix_is_not_taken_for_ours(
    redis_layer: RedisChannelLayer, redis_config: Config
) -> None:
    longer = {key: f"{redis_config[key]}more:" for key in ("prefix", "stats_prefix")}
    other = RedisChannelLayer(**{**redis_config, **longer})
    other.send("work", {})
    other.group_add("g", "plain")
    found = redis_layer.describe()
    assert found["channels"] == found["groups"] == []
    other.close()


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("work", {}),  # what was sent to it is known from another key
        ("group:g", {"groups": {"g"}}),
        ("sockets:h:x.p!", {"groups": {"h"}}),
        ("alive:", {"processes": {"p"}}),
        ("meta channel:work", {}),
        ("meta global", {}),
    ],
)
def test_a_key_of_somebody_else_is_named_and_hides_little(
    redis_layer: RedisChannelLayer,
    client: redis.Redis,
    redis_server: RedisServer,
    name: str,
    hidden: dict[str, set[str]],
) -> None:
    for channel in ("work", "play"):
        redis_layer.send(channel, {})
    for group in ("g", "h", "i"):
        redis_layer.group_add(group, "x.p!s")
    redis_layer.receive(["x.p!"])
    before = redis_layer.describe()
    prefixes = {"": redis_layer.prefix, "meta": redis_layer.stats_prefix}
    kind, _, name = name.rpartition(" ")
    key = prefixes[kind] + name
    assert client.delete(key) == 1
    client.set(key, "something else")
    found = redis_layer.describe()
    server = f"127.0.0.1:{redis_server.port}"
    assert found["wrong_keys"] == [{"key": key, "server": server}]
    assert found["shards"] == [{"server": server, "error": None}]
    for kind in ("channels", "groups", "processes"):
        known, seen = ({record["name"] for record in look[kind]} for look in (before, found))
        assert known - seen == hidden.get(kind, set())


def test_many_keys_of_somebody_else_hide_no_queue_beside_them(
    redis_layer: RedisChannelLayer, client: redis.Redis
) -> None:
    for number in range(150):
        redis_layer.send(f"body?{number}", {})
        client.set(f"{redis_layer.prefix}alien{number}", "")
    found = redis_layer.describe()
    assert len(found["wrong_keys"]) == 150
    assert called("body?", found["channels"])["queues"] == 150


def test_statistics_of_a_channel_whose_key_is_somebody_elses_are_an_error(
    redis_layer: RedisChannelLayer, client: redis.Redis, redis_server: RedisServer
) -> None:
    client.set(f"{redis_layer.prefix}work", "something else")
    with pytest.raises(ChannelLayerUnavailable) as caught:
        redis_layer.channel_statistics("work")
    assert f"{redis_layer.prefix}work" in str(caught.value)
    assert f"127.0.0.1:{redis_server.port}" in str(caught.value)
