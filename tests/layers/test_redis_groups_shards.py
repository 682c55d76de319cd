"""Groups whose members have their home on another Redis server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from channels.layers.redis import RedisChannelLayer

from ..redis_deployments import running_shards
from ..redis_server import wait_until
from ..tcp_proxy import TcpProxy
from .reading import Reader, wait_for_members

Layers = Callable[..., RedisChannelLayer]


@pytest.fixture(autouse=True)
def announce_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channels.layers.redis.processes.ANNOUNCE_SECONDS", 0.1)


@pytest.fixture
def new_layer() -> Iterator[Layers]:
    made: list[RedisChannelLayer] = []

    def make(hosts: Any, **config: Any) -> RedisChannelLayer:
        made.append(RedisChannelLayer(hosts, **config))
        return made[-1]

    yield make
    for layer in made:
        layer.close()


def test_a_shard_that_loses_its_groups_is_told_where_their_members_are(
    new_layer: Layers,
) -> None:
    with running_shards() as servers:
        worker, layer = (new_layer([server.url for server in servers]) for _ in range(2))
        homes = {worker._shards.home(name) for name in "abcdefgh"}
        assert homes == {0, 1, 2}
        with Reader(layer, "ws.P!") as reader:
            for group in "abcdefgh":
                worker.group_add(group, "ws.P!1")
            worker.send_group("a", {"n": 1})
            reader.wait_for(1, "ws.P!1")
            for server in servers:
                server.restart()
                for group in "abcdefgh":
                    wait_for_members(worker, group, "ws.P!1")
            for n, group in enumerate("abcdefgh"):
                worker.send_group(group, {"n": 10 + n})
                reader.wait_for(10 + n, "ws.P!1")


def test_a_shard_that_is_away_does_not_keep_a_process_from_receiving_from_its_own(
    new_layer: Layers,
) -> None:
    with running_shards(2) as servers:
        worker, layer = (new_layer([server.url for server in servers]) for _ in range(2))
        home = worker._shards.home("ws.P!")
        with Reader(layer, "ws.P!") as reader:
            for group in "abcd":
                worker.group_add(group, "ws.P!1")
            worker.send("ws.P!1", {"n": 1})
            reader.wait_for(1, "ws.P!1")
            servers[1 - home].stop()
            group = next(name for name in "abcd" if worker._shards.home(name) == home)
            for n in range(2, 30):
                worker.send_group(group, {"n": n})
                reader.wait_for(n, "ws.P!1")
            assert not layer._shards[home].outage.is_on()
            servers[1 - home].start()
            for group in "abcd":
                wait_for_members(worker, group, "ws.P!1")


def test_a_shard_that_hangs_is_left_alone_for_a_while(new_layer: Layers) -> None:
    with running_shards(2) as servers, TcpProxy(servers[1].port) as proxy:
        hosts = [servers[0].url, f"redis://127.0.0.1:{proxy.port}"]
        layer = new_layer(hosts, connection_kwargs={"socket_timeout": 0.2})
        process = next(f"ws.{name}!" for name in "ABCDEF" if not layer._shards.home(f"ws.{name}!"))
        group = next(name for name in "abcdef" if layer._shards.home(name))
        layer.group_add(group, f"{process}1")
        proxy.hang_reply_to = b"alive:"
        for _ in range(20):
            layer._driver.drive(layer._receiver.processes.announce(0, process))
        assert proxy.hangs == 1
        assert proxy.requests.count(b"\r\nasgi:alive:\r\n") == 1
        assert layer.receive([process]) == (None, None)


def test_a_process_that_has_left_all_groups_lives_on_every_shard(new_layer: Layers) -> None:
    with running_shards() as servers:
        layer = new_layer([server.url for server in servers])
        layer.group_add("g", "ws.P!1")
        home = layer._shards.home("ws.P!")
        processes = layer._receiver.processes
        for _ in range(2):
            layer._driver.drive(processes.announce(home, "ws.P!"))
        layer.group_discard("g", "ws.P!1")
        for server in servers:
            with server.client() as client:
                assert client.zadd("asgi:alive:", {"ws.P!": 1}, xx=True, ch=True) == 1
        layer._driver.drive(processes.announce(home, "ws.P!"))
        assert [process["alive"] for process in layer.describe()["processes"]] == [True]


def test_a_shard_that_failed_and_has_lost_a_little_is_told_again(new_layer: Layers) -> None:
    with running_shards(2) as servers, TcpProxy(servers[1].port) as proxy:
        hosts = [servers[0].url, f"redis://127.0.0.1:{proxy.port}"]
        worker, layer = new_layer([server.url for server in servers]), new_layer(hosts)
        process = next(f"ws.{name}!" for name in "ABCDEF" if not layer._shards.home(f"ws.{name}!"))
        group = next(name for name in "abcdef" if layer._shards.home(name))
        worker.group_add(group, f"{process}1")
        with Reader(layer, process) as reader:
            worker.send_group(group, {"n": 1})
            reader.wait_for(1, f"{process}1")
            wait_until(
                lambda: servers[1].ask("ZSCORE", "asgi:alive:", process), "it is announced there"
            )
            proxy.refuse_connections()
            proxy.cut_all()
            wait_until(lambda: layer._receiver.processes._rests_until, "that was noticed")
            # As a replica that had not heard of it, which takes over.
            assert servers[1].ask("UNLINK", f"asgi:group:{group}") == 1
            proxy.accept_connections()
            wait_for_members(worker, group, f"{process}1")
