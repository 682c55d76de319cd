"""Memberships that Redis has lost come back, and those that were ended on purpose do not."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from channels.layers.redis import RedisChannelLayer
from channels.layers.redis.scripts import RESTORE
from channels.layers.redis.steps import ask

from ..redis_server import RedisServer, wait_until
from ..tcp_proxy import TcpProxy
from .reading import Reader, wait_for_members

Layers = Callable[..., RedisChannelLayer]


@pytest.fixture(autouse=True)
def announce_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channels.layers.redis.processes.ANNOUNCE_SECONDS", 0.1)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A server that a test may empty and restart."""
    with RedisServer() as server:
        yield server


@pytest.fixture(autouse=True)
def client(server: RedisServer) -> Iterator[redis.Redis]:
    with server.client() as client:
        yield client
        client.flushall()


@pytest.fixture
def new_layer(server: RedisServer) -> Iterator[Layers]:
    """Makes layers that share one prefix."""
    made: list[RedisChannelLayer] = []

    def make(hosts: Any = None, **config: Any) -> RedisChannelLayer:
        made.append(RedisChannelLayer(hosts or [server.url], **config))
        return made[-1]

    yield make
    for layer in made:
        layer.close()


def send_until_it_arrives(layer: RedisChannelLayer, group: str, reader: Reader, *to: str) -> None:
    """A message to ``group`` gets to all of these channels, sooner or later."""
    numbers = itertools.count(1000)

    def arrives() -> bool:
        layer.send_group(group, {"n": next(numbers)})
        return set(to) <= {channel for channel, n in reader.found if n >= 1000}

    wait_until(arrives, f"something sent to {group} has arrived on {to}")


def empty(server: RedisServer) -> None:
    with server.client() as client:
        client.flushall()


@pytest.mark.parametrize("lose", [empty, RedisServer.restart])
@pytest.mark.parametrize("in_loop", [False, True])
def test_all_memberships_come_back_soon_after_a_loss(
    new_layer: Layers,
    server: RedisServer,
    client: redis.Redis,
    lose: Callable[[RedisServer], None],
    in_loop: bool,
) -> None:
    worker = new_layer()
    sockets = [f"ws.P!{n}" for n in range(1500)]
    with Reader(new_layer(), "ws.P!", "http.P!", in_loop=in_loop) as reader:
        for channel in sockets:
            worker.group_add("many", channel)
        for group in ("some", "few"):
            worker.group_add(group, "ws.P!1")
        worker.group_add("some", "http.P!2")
        worker.group_add("gone", "ws.P!1")
        worker.group_discard("gone", "ws.P!1")
        worker.send_group("many", {"n": 1})
        reader.wait_for(1, *sockets)
        lose(server)
        wait_for_members(worker, "many", *sockets)
        wait_for_members(worker, "some", "ws.P!1", "http.P!2")
        wait_for_members(worker, "few", "ws.P!1")
        assert worker.group_channels("gone") == []
        worker.send_group("many", {"n": 2})
        worker.send_group("some", {"n": 3})
        reader.wait_for(2, *sockets)
        reader.wait_for(3, "ws.P!1", "http.P!2")


def test_who_left_between_the_loss_and_the_restoration_stays_away(
    new_layer: Layers, client: redis.Redis
) -> None:
    worker = new_layer()
    with Reader(new_layer(), "ws.P!") as reader:
        for group, socket in itertools.product("gh", "abc"):
            worker.group_add(group, f"ws.P!{socket}")
        worker.send_group("g", {"n": 1})
        reader.wait_for(1, "ws.P!a", "ws.P!b", "ws.P!c")
        with reader.hang():
            client.flushall()
            worker.group_discard("g", "ws.P!b")
            worker.group_discard("g", "ws.P!c")
            worker.group_add("g", "ws.P!c")
            worker.group_add("g", "ws.P!d")
        wait_for_members(worker, "g", "ws.P!a", "ws.P!c", "ws.P!d")
        wait_for_members(worker, "h", "ws.P!a", "ws.P!b", "ws.P!c")
        worker.send_group("g", {"n": 2})
        worker.send("ws.P!b", {"n": 3})
        reader.wait_for(2, "ws.P!a", "ws.P!c", "ws.P!d")
        reader.wait_for(3, "ws.P!b")
        assert reader.numbers("ws.P!b") == [1, 3]


def test_groups_alone_that_are_lost_come_back_too(new_layer: Layers, client: redis.Redis) -> None:
    worker = new_layer()
    with Reader(new_layer(), "ws.P!") as reader:
        worker.group_add("g", "ws.P!a")
        worker.send_group("g", {"n": 1})
        reader.wait_for(1, "ws.P!a")
        # As by a Redis that evicts keys, or one whose first answer after a restart was lost.
        client.unlink("asgi:joined:ws.P!", "asgi:group:g")
        wait_for_members(worker, "g", "ws.P!a")


def test_the_group_expiry_goes_on_from_where_it_was(
    new_layer: Layers, client: redis.Redis
) -> None:
    worker = new_layer(group_expiry=3)
    with Reader(new_layer(), "ws.P!") as reader:
        worker.group_add("g", "ws.P!a")
        lapses = client.zscore("asgi:sockets:g:ws.P!", "a")
        worker.send_group("g", {"n": 1})
        reader.wait_for(1, "ws.P!a")
        client.flushall()
        wait_for_members(worker, "g", "ws.P!a")
        assert client.zscore("asgi:sockets:g:ws.P!", "a") == lapses
        assert client.pttl("asgi:sockets:g:ws.P!") < 3000 * 1.25
        wait_for_members(worker, "g")
        worker.send_group("g", {"n": 2})
        worker.send("ws.P!a", {"n": 3})
        reader.wait_for(3, "ws.P!a")
        assert reader.numbers("ws.P!a") == [1, 3]


def test_who_left_while_a_process_was_cut_off_stays_away(
    new_layer: Layers, server: RedisServer, client: redis.Redis
) -> None:
    worker = new_layer()
    with TcpProxy(server.port) as proxy:
        layer = new_layer([("127.0.0.1", proxy.port)])
        with Reader(layer, "ws.P!") as reader:
            for socket in "abc":
                worker.group_add("g", f"ws.P!{socket}")
            worker.send_group("g", {"n": 1})
            reader.wait_for(1, "ws.P!a", "ws.P!b", "ws.P!c")
            proxy.refuse_connections()
            proxy.cut_all()
            worker.group_discard("g", "ws.P!b")
            worker.group_add("g", "ws.P!d")
            # As if that lasted for longer than a journal is kept.
            layer._receiver.processes._known["ws.P!"].read_at -= 61
            assert client.unlink("asgi:journal:ws.P!") == 1
            proxy.accept_connections()
            send_until_it_arrives(worker, "g", reader, "ws.P!a", "ws.P!c", "ws.P!d")
            assert reader.numbers("ws.P!b") == [1]
            wait_for_members(worker, "g", "ws.P!a", "ws.P!c", "ws.P!d")


@pytest.mark.parametrize("away_for", [0, 61])
def test_what_a_replica_had_not_heard_of_before_it_took_over_comes_back(
    new_layer: Layers, server: RedisServer, client: redis.Redis, away_for: int
) -> None:
    worker = new_layer()
    with TcpProxy(server.port) as proxy:
        layer = new_layer([("127.0.0.1", proxy.port)])
        with Reader(layer, "ws.P!") as reader:
            worker.group_add("g", "ws.P!a")
            worker.send_group("g", {"n": 1})
            reader.wait_for(1, "ws.P!a")
            heard = {key: client.dump(key) for key in client.scan_iter()}
            # Its end says what was heard, also if that takes minutes.
            assert client.pttl("asgi:journal:ws.P!") > 9 * 60 * 1000
            worker.group_add("g", "ws.P!b")
            worker.group_add("h", "ws.P!b")
            worker.send_group("h", {"n": 2})
            reader.wait_for(2, "ws.P!b")
            proxy.refuse_connections()
            proxy.cut_all()
            layer._receiver.processes._known["ws.P!"].read_at -= away_for
            client.unlink(*client.scan_iter())
            for key, data in heard.items():
                client.restore(key, 60_000, data)
            assert worker.group_channels("g") == ["ws.P!a"]
            proxy.accept_connections()
            wait_for_members(worker, "g", "ws.P!a", "ws.P!b")
            wait_for_members(worker, "h", "ws.P!b")


def test_a_connection_that_was_cut_is_no_loss_and_nothing_is_put_back(
    new_layer: Layers, server: RedisServer
) -> None:
    worker = new_layer()
    with TcpProxy(server.port) as proxy:
        layer = new_layer([("127.0.0.1", proxy.port)])
        with Reader(layer, "ws.P!") as reader:
            for socket in "ab":
                worker.group_add("g", f"ws.P!{socket}")
            worker.send_group("g", {"n": 1})
            reader.wait_for(1, "ws.P!a", "ws.P!b")
            before = len(proxy.requests)
            proxy.cut_all()
            send_until_it_arrives(worker, "g", reader, "ws.P!a", "ws.P!b")
            said = proxy.requests[before:]
            process = layer._receiver.processes._known["ws.P!"]
            wait_until(lambda: not process.may_be_lost, "it has found out that nothing is lost")
            assert RESTORE.digest.encode() not in said
            assert RESTORE.text.encode() not in said


def test_a_flush_ends_all_memberships_also_those_that_processes_know(
    new_layer: Layers, client: redis.Redis
) -> None:
    worker, layer = new_layer(), new_layer()
    with Reader(layer, "ws.P!") as reader:
        for group, socket in itertools.product("gh", "ab"):
            worker.group_add(group, f"ws.P!{socket}")
        worker.send_group("g", {"n": 1})
        reader.wait_for(1, "ws.P!a", "ws.P!b")
        memberships = layer._receiver.processes._known["ws.P!"].memberships
        assert memberships.size() == 2
        worker.flush()
        wait_until(lambda: memberships.size() == 0, "the memberships are forgotten")
        worker.group_add("g", "ws.P!c")
        worker.send_group("g", {"n": 2})
        reader.wait_for(2, "ws.P!c")
        assert worker.group_channels("g") == ["ws.P!c"]
        assert worker.group_channels("h") == []
        assert reader.numbers("ws.P!a") == reader.numbers("ws.P!b") == [1]
        # And what has joined since is put back after a loss, as ever.
        client.flushall()
        wait_for_members(worker, "g", "ws.P!c")


def announce(layer: RedisChannelLayer) -> None:
    for process in layer._receiver.processes._known.values():
        process.due_at = float("-inf")
    layer.receive(["ws.P!"])


KEYS = ["alive:", "joined:ws.P!", "sockets:g:ws.P!", "journal:ws.P!"]


@pytest.mark.parametrize("order", list(itertools.permutations(KEYS)))
def test_a_process_that_announces_itself_in_the_middle_of_a_flush_brings_nothing_back(
    new_layer: Layers, client: redis.Redis, order: tuple[str, ...]
) -> None:
    for when in range(len(order) + 1):
        config = {"prefix": f"{when}:", "stats_prefix": f"{when}m:"}
        worker, layer = new_layer(**config), new_layer(**config)
        for group, socket in itertools.product("gh", "ab"):
            worker.group_add(group, f"ws.P!{socket}")
        announce(layer)
        # A flush removes the keys in the order in which it finds them.
        worker._driver.drive(ask(0, worker._shards[0].commands.mark_flush()))
        for step, key in enumerate([*order, "group:g", "group:h", "sockets:h:ws.P!"]):
            if step == when:
                announce(layer)
            client.unlink(f"{when}:{key}")
        worker.group_add("g", "ws.P!c")
        announce(layer)
        worker.send_group("g", {"n": 1})
        assert layer.receive(["ws.P!"]) == ("ws.P!c", {"n": 1})
        assert layer.receive(["ws.P!"]) == (None, None)
        assert worker.group_channels("g") == ["ws.P!c"]
        assert worker.group_channels("h") == []
