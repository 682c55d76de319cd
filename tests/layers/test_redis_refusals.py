"""Servers that refuse, that are full, or that are no Redis at all."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from channels.layers.redis import RedisChannelLayer
from channels.test.layer_cases.base import InThread, numbers, receive_soon
from channels.types import Sending

from ..redis_server import RedisServer, find_bundled_redis_server, find_redis_server
from ..tcp_proxy import TcpProxy
from .faults import unavailable

NewLayer = Callable[[], RedisChannelLayer]

#: Attempts to connect within a second, at the most, of one that receives all the time.
ATTEMPTS = 10


class Pretender:
    """Something that listens where Redis should; it treats each connection the same way."""

    def __init__(self, treat: Callable[[socket.socket], None]) -> None:
        self.connections = 0
        self._treat = treat
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Pretender:
        self._threads.append(InThread(self._serve))
        return self

    def __exit__(self, *exc: object) -> None:
        # Closing alone would not wake who waits for a connection.
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._threads.append(InThread(self._treat_one, connection))

    def _treat_one(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self._treat(connection)


def be_http(connection: socket.socket) -> None:
    while connection.recv(1000):
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def be_silent(connection: socket.socket) -> None:
    while connection.recv(1000):
        pass


def be_gone(connection: socket.socket) -> None:
    pass


@contextmanager
def wrong_password() -> Iterator[TcpProxy]:
    with RedisServer(password="secret") as server, TcpProxy(server.port) as proxy:
        yield proxy


CASES: dict[str, tuple[Callable[[], Any], str]] = {
    "an HTTP server": (lambda: Pretender(be_http), "is it a Redis server?"),
    "one that says nothing": (lambda: Pretender(be_silent), "Timeout"),
    "one that hangs up at once": (lambda: Pretender(be_gone), "cannot be reached"),
    # Redis has said different things in its releases.
    "one with another password": (wrong_password, "password"),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Iterator[tuple[Any, str]]:
    """What accepts connections and counts them, and what is said about it."""
    make, words = CASES[request.param]
    with make() as server:
        yield server, words


@pytest.fixture
def new_refused_layer(case: tuple[Any, str]) -> Iterator[NewLayer]:
    layers = []

    def make() -> RedisChannelLayer:
        url = f"redis://:wr0ng@127.0.0.1:{case[0].port}"
        layers.append(RedisChannelLayer([url], connection_kwargs={"socket_timeout": 0.2}))
        return layers[-1]

    yield make
    for layer in layers:
        layer.close()


def test_each_call_ends_soon_with_an_error_that_says_where_and_why(
    case: tuple[Any, str], new_refused_layer: NewLayer
) -> None:
    server, words = case
    refused_layer = new_refused_layer()
    start = time.monotonic()
    for call in (
        lambda: refused_layer.send("a", {}),
        lambda: refused_layer.send_group("g", {}),
        lambda: refused_layer.group_add("g", "p!s"),
        lambda: refused_layer.receive(["a"]),
        lambda: asyncio.run(refused_layer.send_async("a", {})),
    ):
        with unavailable(f"127.0.0.1:{server.port}", words) as raised:
            call()
        assert not raised.value.may_have_arrived
    assert time.monotonic() - start < 20


def receive_for_a_second(layer: RedisChannelLayer, name: str = "p!") -> None:
    end = time.monotonic() + 1
    while time.monotonic() < end:
        assert layer.receive([name], block=True) == (None, None)


async def receive_for_a_second_async(layer: RedisChannelLayer, name: str = "p!") -> None:
    end = time.monotonic() + 1
    while time.monotonic() < end:
        assert await layer.receive_batch_async([name]) == []


def test_who_receives_tries_again_now_and_then_and_logs_it_once(
    case: tuple[Any, str], new_refused_layer: NewLayer, caplog: pytest.LogCaptureFixture
) -> None:
    server, words = case
    threads = [
        InThread(receive_for_a_second, new_refused_layer()),
        InThread(asyncio.run, receive_for_a_second_async(new_refused_layer())),
    ]
    for thread in threads:
        thread.outcome()
    assert 4 <= server.connections <= 2 * ATTEMPTS
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert all(words in record.getMessage() for record in caplog.records)
    assert "wr0ng" not in caplog.text


def test_with_all_shards_away_who_receives_tries_again_now_and_then() -> None:
    with Pretender(be_gone) as server:
        layer = RedisChannelLayer([("127.0.0.1", server.port)] * 2)
        threads = [
            InThread(receive_for_a_second, layer, "everywhere"),
            InThread(asyncio.run, receive_for_a_second_async(layer, "everywhere")),
        ]
        for thread in threads:
            thread.outcome()
        layer.close()
        assert server.connections <= 4 * ATTEMPTS


def test_a_shard_that_says_nothing_is_not_waited_for_with_each_message_of_another(
    server: RedisServer, layer: RedisChannelLayer
) -> None:
    with Pretender(be_silent) as silent:
        hosts = [server.url, f"redis://127.0.0.1:{silent.port}"]
        both = RedisChannelLayer(hosts, connection_kwargs={"socket_timeout": 0.2})
        for number in range(20):
            layer.send("a", {"n": number})
        assert [receive_soon(both, ["a"])[1]["n"] for _ in range(20)] == list(range(20))
        both.close()
        assert silent.connections <= 5


def test_without_the_password_that_it_wants_the_error_says_so() -> None:
    with RedisServer(password="secret") as server:
        layer = RedisChannelLayer([("127.0.0.1", server.port)])
        with unavailable(f"127.0.0.1:{server.port}", "password"):
            layer.send("a", {})
        layer.close()


# A full Redis


@pytest.fixture(params=[find_redis_server, find_bundled_redis_server])
def filled(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A server that can be filled: of today, and of the oldest version."""
    with RedisServer("maxmemory-policy noeviction", binary=request.param()) as server:
        yield server


@contextmanager
def no_memory(server: RedisServer) -> Iterator[None]:
    with server.client() as client:
        client.config_set("maxmemory", 1)
        try:
            yield
        finally:
            client.config_set("maxmemory", 0)


def test_a_full_redis_refuses_messages_with_the_remedy_and_gives_out_what_it_has(
    filled: RedisServer,
) -> None:
    layer = RedisChannelLayer([filled.url])
    layer.receive(["p!"])
    layer.group_add("g", "p!s")
    for number in range(3):
        layer.send("p!s", {"n": number})
    refused = {"n": -1}
    with no_memory(filled):
        for call in (
            lambda: layer.send("p!s", refused),
            lambda: asyncio.run(layer.send_async("a", refused)),
            lambda: layer.send_group("g", refused),
        ):
            with unavailable("no effect", "is full", "raise its maxmemory") as raised:
                call()
            assert not raised.value.may_have_arrived
        many = [Sending("a", refused), Sending("g", refused, to_group=True)]
        for outcome in layer.send_many(many):
            assert "raise its maxmemory" in str(outcome)
        assert numbers(layer, "p!") == [0, 1, 2]
    layer.send("p!s", {"n": 3})
    layer.send_group("g", {"n": 4})
    assert numbers(layer, "p!", "a") == [3, 4]
    layer.close()


def test_processes_live_on_while_redis_is_full_and_sockets_come_and_go(
    filled: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.layers.redis.processes.ANNOUNCE_SECONDS", 0)
    layer = RedisChannelLayer([filled.url])
    layer.receive(["p!"])
    layer.group_add("g", "p!goes")
    with no_memory(filled), filled.client() as client:
        before = client.zscore("asgi:alive:", "p!")
        layer.group_add("g", "p!comes")
        layer.group_discard("g", "p!goes")
        assert layer.receive(["p!"], block=True) == (None, None)
        assert client.zscore("asgi:alive:", "p!") > before
    assert caplog.records == []
    layer.send_group("g", {"n": 1})
    assert receive_soon(layer, ["p!"]) == ("p!comes", {"n": 1})
    layer.close()


def test_a_server_that_lets_nobody_announce_itself_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with RedisServer("user ann on >wr0ng ~* +@all -eval -evalsha") as server:
        layer = RedisChannelLayer([f"redis://ann:wr0ng@127.0.0.1:{server.port}"])
        for _ in range(2):
            assert layer.receive(["p!"], block=True) == (None, None)
        layer.close()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "no permissions" in caplog.text.lower()


def test_a_key_of_another_type_is_an_error_not_a_dead_receiver(
    server: RedisServer, layer: RedisChannelLayer, caplog: Any
) -> None:
    with server.client() as client:
        client.set("asgi:a", "text")
        with unavailable("refused"):
            layer.send("a", {})
        assert layer.receive(["a"], block=True) == (None, None)
        assert len(caplog.records) == 1
        client.delete("asgi:a")
    layer.send("a", {"n": 1})
    assert layer.receive(["a"], block=True) == ("a", {"n": 1})


# A script that is refused in the middle


def test_a_send_that_is_refused_in_the_middle_may_have_arrived() -> None:
    with RedisServer() as server, server.client() as client:
        layer = RedisChannelLayer([server.url])
        client.set("asgi:a", "no queue")
        with unavailable("in the middle", "key of another program", "WRONGTYPE") as raised:
            layer.send("a", {})
        assert raised.value.may_have_arrived
        layer.close()


def test_a_counter_that_cannot_be_used_keeps_no_message_back() -> None:
    with RedisServer() as server, server.client() as client:
        client.set("asgi-meta:global", "no counter")
        layer = RedisChannelLayer([server.url])
        layer.send("a", {"n": 1})
        assert layer.send_many([Sending("a", {"n": 2})]) == [None]
        assert numbers(layer, "a") == [1, 2]
        layer.close()
