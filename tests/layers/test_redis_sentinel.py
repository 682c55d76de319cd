"""The layer on masters that Sentinel watches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.test import override_settings

from channels.asgi import ChannelLayerManager
from channels.exceptions import ChannelLayerUnavailable, InvalidChannelLayerError
from channels.layers.redis import RedisSentinelChannelLayer
from channels.layers.redis.command import Command
from channels.layers.redis.steps import Request
from channels.test.layer_cases.base import InThread, receive_soon, receive_soon_async

from ..redis_sentinel import SentinelDeployment
from ..redis_server import RedisServer, find_bundled_redis_server, find_free_port, wait_until
from ..tcp_proxy import TcpProxy
from .faults import assert_a_child_can_send
from .stream import Stream

NewLayer = Callable[..., RedisSentinelChannelLayer]


@pytest.fixture(scope="module")
def steady() -> Iterator[SentinelDeployment]:
    """A deployment that no test breaks; the sentinel watches its master under a second name."""
    with SentinelDeployment() as deployment:
        watch(deployment, "another")
        yield deployment


def watch(deployment: SentinelDeployment, name: str, port: int | None = None) -> None:
    for sentinel in deployment.sentinel_servers:
        port = port or deployment.master().port
        sentinel.ask("SENTINEL", "MONITOR", name, "127.0.0.1", port, 1)


@pytest.fixture
def new_layer() -> Iterator[NewLayer]:
    """Makes layers, which are closed after the test."""
    made: list[RedisSentinelChannelLayer] = []

    def make(*arguments: Any, **options: Any) -> RedisSentinelChannelLayer:
        made.append(RedisSentinelChannelLayer(*arguments, **options))
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


def replica_of(deployment: SentinelDeployment) -> RedisServer:
    [replica] = [server for server in deployment.servers if server is not deployment.master()]
    return replica


# Configuration


@pytest.mark.parametrize("services", ["main", b"main", {"main": 1}, [1], [""], 5])
def test_services_that_are_no_list_of_names_are_an_error(services: Any) -> None:
    with pytest.raises(ValueError, match=r"^services must be a list of names.*\['main'\]"):
        RedisSentinelChannelLayer([("localhost", 1)], services)


@pytest.mark.parametrize("services", [[], ["main", "main"]])
def test_no_service_and_the_same_one_twice_are_an_error_with_the_remedy(services: Any) -> None:
    with pytest.raises(ValueError, match=r"^services is .* or leave it out for all masters"):
        RedisSentinelChannelLayer([("localhost", 1)], services)


@pytest.mark.parametrize("interval", [-1, "5", None, True, float("nan")])
def test_a_refresh_interval_that_is_no_time_is_an_error(interval: Any) -> None:
    with pytest.raises(
        ValueError, match=r"^sentinel_refresh_interval must be a number of seconds"
    ):
        RedisSentinelChannelLayer([("localhost", 1)], ["main"], sentinel_refresh_interval=interval)


@pytest.mark.parametrize("hosts", ["redis://localhost:26379", [], ["localhost"], [1]])
def test_wrong_hosts_are_an_error_that_names_the_setting(hosts: Any) -> None:
    with pytest.raises(ValueError, match="hosts"):
        RedisSentinelChannelLayer(hosts, ["main"])


def test_without_hosts_there_is_a_sentinel_on_this_machine(new_layer: NewLayer) -> None:
    [sentinel] = new_layer(services=["main"])._directory._sources
    assert sentinel.address == "localhost:26379"
    with pytest.raises(ValueError, match="leave it out for localhost:26379"):
        RedisSentinelChannelLayer([], ["main"])


def test_the_sentinels_of_hosts_and_the_masters_have_keywords_of_their_own(
    new_layer: NewLayer,
) -> None:
    with SentinelDeployment(password="one", sentinel_password="two") as deployment:
        [(host, port)] = deployment.sentinels
        masters = {"password": "one"}
        for sentinel in (
            {"host": host, "port": port, "password": "two"},
            f"redis://:two@{host}:{port}",
        ):
            layer = new_layer([sentinel], ["main"], connection_kwargs=masters)
            layer.send("a", {"n": 1})
            assert layer.receive(["a"]) == ("a", {"n": 1})
        with unavailable("Authentication required", f"{host}:{port}"):
            new_layer(deployment.sentinels, ["main"], connection_kwargs=masters).send("a", {})
        with unavailable(f"127.0.0.1:{deployment.master().port}"):
            new_layer([sentinel], ["main"]).send("a", {})


def test_the_path_of_old_settings_gives_this_layer_with_a_warning(
    steady: SentinelDeployment,
) -> None:
    entry = {
        "BACKEND": "asgi_redis.RedisSentinelChannelLayer",
        "CONFIG": {"hosts": steady.sentinels, "services": ["main"]},
        "ROUTING": [],
    }
    with override_settings(CHANNEL_LAYERS={"default": entry}):
        with pytest.warns(DeprecationWarning, match="RedisSentinelChannelLayer"):
            layer = ChannelLayerManager()["default"].channel_layer
        assert type(layer) is RedisSentinelChannelLayer
        layer.send("old", {"n": 1})
        assert layer.receive(["old"]) == ("old", {"n": 1})
        layer.close()


# Finding masters


def test_without_services_all_masters_are_used_in_the_order_of_their_names(
    steady: SentinelDeployment, new_layer: NewLayer
) -> None:
    layer = new_layer(steady.sentinels)
    assert "'another', 'main'" in repr(layer)
    assert "Place of main: unknown" in repr(layer._shards[1].location)
    assert repr(new_layer(steady.sentinels, ["main", "another"])) == repr(layer)


def test_several_masters_are_shards(steady: SentinelDeployment, new_layer: NewLayer) -> None:
    with RedisServer() as server, SentinelDeployment() as deployment:
        watch(deployment, "second", server.port)
        layer = new_layer(deployment.sentinels)
        for n in range(10):
            layer.send("spread", {"n": n})
        for each in (server, deployment.master()):
            assert each.ask("LLEN", "asgi:spread") == 5
        assert sorted(layer.receive(["spread"])[1]["n"] for _ in range(10)) == [*range(10)]


def test_a_service_that_no_sentinel_knows_is_an_error_that_names_it(
    steady: SentinelDeployment, new_layer: NewLayer
) -> None:
    layer = new_layer(steady.sentinels, ["mian"])
    address = f"127.0.0.1:{steady.sentinels[0][1]}"
    for call in (
        lambda: layer.send("a", {}),
        lambda: layer.receive(["a"]),
        lambda: asyncio.run(layer.send_async("a", {})),
    ):
        with unavailable("'mian'", "services must name", f"{address} does not know"):
            call()


def test_with_all_sentinels_away_the_error_names_them(new_layer: NewLayer) -> None:
    hosts = [("127.0.0.1", find_free_port()) for _ in range(2)]
    addresses = [f"127.0.0.1:{port}" for _, port in hosts]
    with unavailable("give their names as services", *addresses):
        RedisSentinelChannelLayer(hosts)
    layer = new_layer(hosts, ["main"])
    with unavailable("'main'", "hosts", *addresses):
        layer.send("a", {})
    assert layer.receive(["a"], block=True) == (None, None)


def test_sentinels_that_watch_nothing_are_an_error(steady: SentinelDeployment) -> None:
    with SentinelDeployment() as deployment:
        deployment.sentinel_servers[0].ask("SENTINEL", "REMOVE", "main")
        with unavailable("watches no master"):
            RedisSentinelChannelLayer(deployment.sentinels)


def test_a_sentinel_that_is_away_or_knows_less_is_passed_over(
    steady: SentinelDeployment, new_layer: NewLayer
) -> None:
    with SentinelDeployment() as other:
        nowhere = ("127.0.0.1", find_free_port())
        layer = new_layer([nowhere, *other.sentinels, *steady.sentinels], ["another"])
        layer.send("passed", {"n": 1})
        assert layer.receive(["passed"]) == ("passed", {"n": 1})


def test_a_master_that_is_known_is_not_asked_for(
    steady: SentinelDeployment, new_layer: NewLayer
) -> None:
    with TcpProxy(steady.sentinels[0][1]) as proxy:
        layer = new_layer([("127.0.0.1", proxy.port)], ["main"])
        assert proxy.connections == 0
        for _ in range(3):
            layer.send("known", {})
            asyncio.run(layer.send_async("known", {}))
        assert proxy.requests.count(b"GET-MASTER-ADDR-BY-NAME") == 1


def test_sentinels_that_do_not_know_are_not_asked_for_each_command(new_layer: NewLayer) -> None:
    with TcpProxy(find_free_port()) as proxy:
        layer = new_layer([("127.0.0.1", proxy.port)], ["main"])
        answers = layer._driver.exchange([Request(0, Command("TIME"))] * 50)
        assert [type(answer) for answer in answers] == [ChannelLayerUnavailable] * 50
        assert proxy.connections < 5


def test_a_fork_while_a_master_is_looked_for_does_not_block_the_child(
    steady: SentinelDeployment, new_layer: NewLayer
) -> None:
    layer = new_layer(steady.sentinels, ["main"])
    assert_a_child_can_send(layer, layer._directory._lock)


def test_after_the_refresh_interval_it_is_asked_for_again_and_may_be_silent(
    steady: SentinelDeployment, new_layer: NewLayer
) -> None:
    with TcpProxy(steady.sentinels[0][1]) as proxy:
        layer = new_layer([("127.0.0.1", proxy.port)], ["main"], sentinel_refresh_interval=0.001)
        layer.send("again", {})
        layer.send("again", {})
        assert proxy.requests.count(b"GET-MASTER-ADDR-BY-NAME") >= 2
        proxy.refuse_connections()
        layer.send("again", {})


# Failovers


@pytest.mark.parametrize("binary", [None, find_bundled_redis_server()])
def test_a_master_that_became_a_replica_is_left_for_the_new_one(
    new_layer: NewLayer, binary: str | None
) -> None:
    with SentinelDeployment(binary=binary) as deployment:
        layer = new_layer(deployment.sentinels, ["main"])
        layer.send("a", {"n": 0})
        replica = layer._directory._at("127.0.0.1", replica_of(deployment).port)
        for call in (
            lambda: layer.send("a", {"n": 1}),
            lambda: layer.receive(["a"]),
            lambda: layer.receive(["a"], block=True),
            lambda: asyncio.run(layer.send_async("a", {"n": 2})),
            lambda: asyncio.run(layer.receive_async(["a"])),
        ):
            layer._directory._found["main"] = replica
            assert call() in (None, ("a", {"n": 0}), ("a", {"n": 1}), ("a", {"n": 2}))
        assert layer.receive(["a"]) == (None, None)


def test_a_failover_keeps_messages_memberships_and_blocked_receivers(
    redis_sentinel: SentinelDeployment, new_layer: NewLayer
) -> None:
    layer = new_layer(redis_sentinel.sentinels, ["main"])
    layer.send("kept", {"n": 1})
    layer.group_add("g", "p!s")
    waiting = InThread(receive_soon, layer, ["p!"])
    waiting_too = InThread(lambda: asyncio.run(receive_soon_async(layer, ["q?x"])))
    master = redis_sentinel.master()
    wait_until(lambda: master.ask("INFO", "clients")["blocked_clients"] == 2, "both wait")
    replica = replica_of(redis_sentinel)
    wait_until(lambda: replica.ask("EXISTS", "asgi:kept", "asgi:joined:p!") == 2, "it has all")
    new = redis_sentinel.fail_over()
    layer.send_group("g", {"n": 2})
    layer.send("q?x", {"n": 3})
    assert waiting.outcome() == ("p!s", {"n": 2})
    assert waiting_too.outcome() == ("q?x", {"n": 3})
    assert layer.receive(["kept"]) == ("kept", {"n": 1})
    assert new.ask("EXISTS", "asgi:joined:p!") == 1


def test_a_master_that_loses_the_memberships_gets_them_back(
    redis_sentinel: SentinelDeployment, new_layer: NewLayer
) -> None:
    layer = new_layer(redis_sentinel.sentinels, ["main"])
    layer.group_add("g", "p!s")
    assert layer.receive(["p!"], block=True) == (None, None)
    # As when a replica has not yet got what its master had.
    replica = replica_of(redis_sentinel)
    new = redis_sentinel.kill_master()
    assert new is replica
    new.ask("FLUSHALL")
    waiting = InThread(receive_soon, layer, ["p!"])
    wait_until(lambda: layer.group_channels("g") == ["p!s"], "the process has put it back")
    layer.send_group("g", {"n": 1})
    assert waiting.outcome() == ("p!s", {"n": 1})


@pytest.mark.parametrize("break_it", ["fail_over", "kill_master"])
def test_what_is_sent_meanwhile_arrives_or_raises_and_nothing_arrives_twice(
    redis_sentinel: SentinelDeployment, new_layer: NewLayer, break_it: str
) -> None:
    stream = Stream(new_layer(redis_sentinel.sentinels, ["main"]), "p!s", "p!")
    stream.outlive(getattr(redis_sentinel, break_it))
    # The new master does not know the last of what the old one took.
    assert stream.received == sorted(set(stream.received))
    assert len(stream.received) > len(stream.sent) / 2


def test_with_the_sentinels_away_a_master_that_is_known_goes_on(
    redis_sentinel: SentinelDeployment, new_layer: NewLayer
) -> None:
    layer = new_layer(redis_sentinel.sentinels, ["main"])
    layer.send("a", {"n": 1})
    for sentinel in redis_sentinel.sentinel_servers:
        sentinel.kill()
    layer.send("a", {"n": 2})
    assert layer.receive(["a"]) == ("a", {"n": 1})
    assert layer.receive(["a"]) == ("a", {"n": 2})


def test_settings_whose_sentinels_are_not_there_are_an_error_that_names_the_alias() -> None:
    config = {
        "BACKEND": "channels.layers.redis.RedisSentinelChannelLayer",
        "CONFIG": {"hosts": [("127.0.0.1", find_free_port())]},
        "ROUTING": [],
    }
    with (
        override_settings(CHANNEL_LAYERS={"here": config}),
        pytest.raises(
            InvalidChannelLayerError, match=r"\['here'\] cannot be made now: No sentinel"
        ),
    ):
        ChannelLayerManager().make_backend("here")
