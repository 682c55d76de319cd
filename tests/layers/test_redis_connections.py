"""Connections of every kind: TLS, users of the access list, Unix sockets, old servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from channels.exceptions import ChannelLayerUnavailable
from channels.layers.redis import (
    RedisChannelLayer,
    RedisClusterChannelLayer,
    RedisSentinelChannelLayer,
)
from channels.layers.redis.hosts import parse_hosts
from channels.test.layer_cases.base import InThread, drain, receive_soon

from ..certificates import Certificates, make_certificates
from ..redis_cluster import ClusterDeployment
from ..redis_sentinel import SentinelDeployment
from ..redis_server import RedisServer, find_bundled_redis_server, wait_until

#: The least that a user of the access list needs: the commands of the layer and of its scripts,
#: on keys that begin with its prefixes.
COMMANDS = (
    "+blpop +eval +evalsha +exists +expire +hincrby +hmget +lindex +llen +lpop +lpush +pexpire "
    "+pttl +rpop +rpush +scan +set +time +unlink +xadd +xrange +xrevrange +xtrim +zadd +zcard "
    "+zcount +zrange +zrangebyscore +zrem +zremrangebyscore +zscore"
)
KEYS = "~asgi:* ~asgi-meta:*"
USER = f"user app on >pass-word {KEYS} -@all {COMMANDS}"

#: What a user needs in addition on a cluster, and one of a sentinel at all; Redis 6.2 has no
#: rules for subcommands, so that it takes "+cluster" and "+sentinel".
CLUSTER_COMMANDS = "+asking +cluster|slots"
SENTINEL_COMMANDS = "+sentinel|get-master-addr-by-name +sentinel|masters"

NewLayer = Callable[..., RedisChannelLayer]


@pytest.fixture
def new_layer() -> Iterator[NewLayer]:
    """Makes layers, which are closed after the test."""
    made: list[RedisChannelLayer] = []

    def make(hosts: Any, *, kind: Any = RedisChannelLayer, **options: Any) -> RedisChannelLayer:
        made.append(kind(hosts, **options))
        return made[-1]

    yield make
    for layer in made:
        layer.close()


@contextmanager
def unavailable(*words: str) -> Iterator[None]:
    with pytest.raises(ChannelLayerUnavailable) as raised:
        yield
    for word in words:
        assert word in str(raised.value)
    assert "pass-word" not in str(raised.value)


def use_everything(layer: RedisChannelLayer) -> None:
    """What an application does with a layer, and what an operator does."""
    layer.flush()
    layer.capacity = 3
    for channel in ("normal", "one?x", "ws.P!s"):
        layer.group_add("g", channel)
        for n in range(3):
            layer.send(channel, {"n": n})
        with pytest.raises(layer.ChannelFull):
            layer.send(channel, {})
        assert layer.channel_statistics(channel)["channel_full_count"]
    assert layer.receive(["ws.P!"], block=True) == ("ws.P!s", {"n": 0})
    assert layer.receive(["normal"], block=True)[0] == "normal"
    layer.send_group("g", {"n": 3})
    assert drain(layer, "ws.P!")[-1] == ("ws.P!s", {"n": 3})
    assert sorted(layer.group_channels("g")) == ["normal", "one?x", "ws.P!s"]
    layer.group_refresh(["ws.P!s", "normal"])
    layer.group_discard("g", "ws.P!s")
    layer.global_statistics()
    shards = layer.describe()["shards"]
    assert [shard["error"] for shard in shards] == [None] * len(shards)

    asyncio.run(use_in_loop(layer))
    layer.flush()


async def use_in_loop(layer: RedisChannelLayer) -> None:
    await layer.send_async("other?x", {"n": 1})
    assert await layer.receive_async(["other?x"]) == ("other?x", {"n": 1})
    await layer.receive_batch_async(["ws.P!"])
    # What it brings goes back to its queue.
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(layer.receive_async(["other?x"]), 0.05)
    await layer.send_async("other?x", {"n": 2})
    await layer._loops.running().pops.finish()
    await layer.close_async()


# TLS


@pytest.mark.parametrize("how", ["URL", "dict", "pair"])
def test_tls_with_an_authority_and_a_certificate_of_the_client(
    redis_tls: RedisServer, certificates: Certificates, new_layer: NewLayer, how: str
) -> None:
    options = certificates.client_options()
    hosts, more = {
        "URL": ([redis_tls.url], options),
        "dict": ([{"host": "localhost", "port": redis_tls.port, "ssl": True, **options}], {}),
        "pair": ([("127.0.0.1", redis_tls.port)], {"ssl": True, **options}),
    }[how]
    use_everything(new_layer(hosts, connection_kwargs=more))


def test_certificates_in_a_url(
    redis_tls: RedisServer, certificates: Certificates, new_layer: NewLayer
) -> None:
    query = "&".join(f"{key}={value}" for key, value in certificates.client_options().items())
    use_everything(new_layer([f"{redis_tls.url}?{query}"]))


def test_an_authority_that_does_not_know_the_server_is_an_error_that_says_so(
    redis_tls: RedisServer, certificates: Certificates, new_layer: NewLayer, tmp_path: Path
) -> None:
    other = {**certificates.client_options()}
    other["ssl_ca_certs"] = str(make_certificates(tmp_path).authority)
    layer = new_layer([redis_tls.url], connection_kwargs=other)
    for call in (
        lambda: layer.send("a", {}),
        lambda: asyncio.run(layer.send_async("a", {})),
    ):
        with unavailable(f"127.0.0.1:{redis_tls.port}", "certificate", "nothing was sent"):
            call()


def test_a_client_without_a_certificate_is_refused(
    redis_tls: RedisServer, certificates: Certificates, new_layer: NewLayer
) -> None:
    authority = {"ssl_ca_certs": str(certificates.authority)}
    layer = new_layer([redis_tls.url], connection_kwargs=authority)
    for call in (
        lambda: layer.send("a", {}),
        lambda: asyncio.run(layer.send_async("a", {})),
    ):
        with unavailable(f"127.0.0.1:{redis_tls.port}"):
            call()


def test_a_client_that_speaks_no_tls_is_an_error(
    redis_tls: RedisServer, new_layer: NewLayer
) -> None:
    layer = new_layer([("127.0.0.1", redis_tls.port)])
    with unavailable(f"127.0.0.1:{redis_tls.port}"):
        layer.send("a", {})
    assert layer.receive(["a"], block=True) == (None, None)


# Users of the access list


@pytest.fixture(params=["the binary of the suite", "the bundled one"])
def binary(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "the binary of the suite" else find_bundled_redis_server()


def has_blocked_client(server: RedisServer) -> bool:
    return bool(server.ask("INFO", "clients")["blocked_clients"])


def test_a_user_with_the_commands_and_keys_of_the_layer_can_do_everything(
    new_layer: NewLayer, binary: str | None
) -> None:
    with RedisServer(USER, binary=binary) as one, RedisServer(USER, binary=binary) as two:
        urls = [f"redis://app:pass-word@127.0.0.1:{server.port}" for server in (one, two)]
        layer = new_layer(urls)
        use_everything(layer)
        waiting = InThread(receive_soon, layer, ["normal"])
        wait_until(lambda: all(map(has_blocked_client, (one, two))), "it waits on both")
        layer.send("normal", {"n": 1})
        assert waiting.outcome() == ("normal", {"n": 1})
        infos = [server.ask("INFO", "commandstats") for server in (one, two)]
        with unavailable(f"127.0.0.1:{one.port}", "refused", "no effect", "permission"):
            new_layer(urls[:1], prefix="other:").receive(["a"])
    used = {name.removeprefix("cmdstat_").partition("|")[0] for info in infos for name in info}
    granted = {word.removeprefix("+") for word in COMMANDS.split()}
    assert granted - used == set()
    # redis-py introduces itself, and does not mind that this is refused; the test asks, too.
    assert used - granted <= {"auth", "client", "info", "ping"}


def test_a_wrong_password_of_a_user_is_an_error_that_does_not_show_it(
    new_layer: NewLayer,
) -> None:
    with RedisServer(USER.replace("pass-word", "right")) as own:
        layer = new_layer([f"redis://app:pass-word@127.0.0.1:{own.port}"])
        with unavailable(f"127.0.0.1:{own.port}", "cannot be reached", "nothing was sent"):
            layer.send("a", {})


def test_no_password_is_shown_where_a_host_is(new_layer: NewLayer) -> None:
    host = {"host": "127.0.0.1", "port": 6390, "password": "pass-word"}
    for hosts, more in (
        (["redis://:pass-word@127.0.0.1:6390"], {}),
        ([host], {}),
        ([("127.0.0.1", 6390)], {"password": "pass-word"}),
    ):
        [found] = parse_hosts(hosts, more)
        assert repr(found) == "<Host 127.0.0.1:6390>"
        layer = new_layer(hosts, connection_kwargs=more)
        assert repr(layer) == "<RedisChannelLayer at 127.0.0.1:6390, prefix 'asgi:'>"


def test_a_user_of_a_cluster_needs_two_commands_more(new_layer: NewLayer) -> None:
    with ClusterDeployment() as cluster:
        rules = f"on >pass-word {KEYS} -@all {COMMANDS} {CLUSTER_COMMANDS}".split()
        for node in cluster.nodes:
            node.ask("ACL", "SETUSER", "app", *rules)
        host, port = cluster.hosts[0]
        url = f"redis://app:pass-word@{host}:{port}"
        use_everything(new_layer([url], kind=RedisClusterChannelLayer))


def test_a_user_of_a_sentinel_needs_two_commands(new_layer: NewLayer) -> None:
    with SentinelDeployment() as deployment:
        rules = f"on >pass-word -@all {SENTINEL_COMMANDS}".split()
        deployment.sentinel_servers[0].ask("ACL", "SETUSER", "app", *rules)
        host, port = deployment.sentinels[0]
        url = f"redis://app:pass-word@{host}:{port}"
        for services in (None, ["main"]):
            layer = new_layer([url], kind=RedisSentinelChannelLayer, services=services)
            use_everything(layer)


# Unix sockets


@pytest.mark.parametrize("how", ["URL", "dict"])
def test_a_unix_socket(new_layer: NewLayer, tmp_path: Path, how: str) -> None:
    path = str(tmp_path / "redis.sock")
    with RedisServer(f"unixsocket {path}"):
        layer = new_layer([f"unix://{path}" if how == "URL" else {"unix_socket_path": path}])
        assert f"unix://{path}" in repr(layer)
        use_everything(layer)
