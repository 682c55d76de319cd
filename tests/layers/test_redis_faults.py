"""Redis away, refusing, or lost in the middle of a command."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from channels.exceptions import ChannelLayerUnavailable
from channels.layers.redis import RedisChannelLayer
from channels.layers.redis.hosts import parse_hosts
from channels.layers.redis.outage import Outage
from channels.test.layer_cases.base import InThread, drain, receive_soon

from ..redis_server import RedisServer
from ..tcp_proxy import TcpProxy


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server that the test may stop."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def layer(server: RedisServer) -> Iterator[RedisChannelLayer]:
    layer = RedisChannelLayer([server.url])
    yield layer
    layer.close()


@contextmanager
def unavailable(*words: str) -> Iterator[None]:
    with pytest.raises(ChannelLayerUnavailable) as raised:
        yield
    for word in words:
        assert word in str(raised.value)
    assert "wr0ng" not in str(raised.value)
    assert raised.value.__cause__ is not None


def test_with_redis_away_everything_but_a_blocking_receive_is_an_error_that_says_so(
    server: RedisServer, layer: RedisChannelLayer
) -> None:
    layer.send("a", {})
    server.stop()
    address = f"127.0.0.1:{server.port}"
    start = time.monotonic()
    for call in (
        lambda: layer.send("a", {}),
        lambda: layer.send_group("g", {}),
        lambda: layer.group_add("g", "a"),
        lambda: layer.receive(["a"]),
        lambda: layer.flush(),
        lambda: asyncio.run(layer.send_async("a", {})),
    ):
        with unavailable(address, "cannot be reached", "nothing was sent"):
            call()
    assert time.monotonic() - start < 2


def test_a_send_after_a_restart_finds_its_connection_stale_and_makes_a_new_one(
    server: RedisServer, layer: RedisChannelLayer
) -> None:
    layer.send("a", {})
    server.restart()
    layer.send("a", {"n": 1})
    assert layer.receive(["a"]) == ("a", {"n": 1})


async def test_a_coroutine_survives_a_restart_too(
    server: RedisServer, layer: RedisChannelLayer
) -> None:
    await layer.send_async("a", {})
    await layer.receive_async(["a"])
    await asyncio.to_thread(server.restart)
    await layer.send_async("a", {"n": 1})
    assert await layer.receive_async(["a"]) == ("a", {"n": 1})


def test_a_blocking_receive_waits_for_redis_and_logs_once(
    server: RedisServer, layer: RedisChannelLayer, caplog: Any
) -> None:
    caplog.set_level(logging.INFO, "django.channels")
    layer.receive(["p!"])
    waiting = InThread(receive_soon, layer, ["p!"])
    time.sleep(0.05)
    server.stop()
    time.sleep(0.5)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert f"127.0.0.1:{server.port}" in caplog.text
    server.start()
    layer.send("p!s", {"n": 1})
    assert waiting.outcome() == ("p!s", {"n": 1})
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert "is back" in caplog.text
    with server.client() as client:
        assert client.zrange("asgi:alive:", 0, -1) == [b"p!"]


async def test_receive_async_waits_for_redis_and_logs_once(
    server: RedisServer, layer: RedisChannelLayer, caplog: Any
) -> None:
    caplog.set_level(logging.INFO, "django.channels")
    await asyncio.to_thread(server.stop)
    start = time.monotonic()
    for _ in range(3):
        assert await layer.receive_async(["a"]) == (None, None)
    assert time.monotonic() - start < 3
    await asyncio.to_thread(server.start)
    await layer.send_async("a", {"n": 1})
    assert await layer.receive_async(["a"]) == ("a", {"n": 1})
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


def test_pauses_grow_while_redis_is_away_and_stay_bounded() -> None:
    outage, pauses = Outage(), []
    for _ in range(8):
        outage.report(ChannelLayerUnavailable("away"))
        pauses.append(round(outage.pause(), 2))
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]


def test_a_send_whose_reply_is_lost_is_not_repeated(server: RedisServer) -> None:
    with TcpProxy(server.port) as proxy:
        layer = RedisChannelLayer([("127.0.0.1", proxy.port)])
        layer.send("a", {"n": 1})
        proxy.cut_reply_to = b"cut here"
        with unavailable("did not answer", "may have arrived"):
            layer.send("a", {"n": 2, "text": "cut here"})
        with unavailable("did not answer", "may have arrived"):
            asyncio.run(layer.send_async("a", {"n": 3, "text": "cut here"}))
        assert proxy.cuts == 2
        assert [message["n"] for _, message in drain(layer, "a")] == [1, 2, 3]
        layer.close()


def test_a_group_send_whose_reply_is_lost_is_not_repeated(server: RedisServer) -> None:
    with TcpProxy(server.port) as proxy:
        layer = RedisChannelLayer([("127.0.0.1", proxy.port)])
        layer.group_add("g", "p!s")
        layer.send_group("g", {"n": 0})
        proxy.cut_reply_to = b"cut here"
        with unavailable("may have arrived"):
            layer.send_group("g", {"n": 1, "text": "cut here"})
        assert [message["n"] for _, message in drain(layer, "p!")] == [0, 1]
        layer.close()


def test_a_receive_whose_reply_is_lost_waits_and_goes_on(server: RedisServer) -> None:
    with TcpProxy(server.port) as proxy:
        layer = RedisChannelLayer([("127.0.0.1", proxy.port)])
        layer.send("a", {"n": 1})
        layer.send("a", {"n": 2})
        proxy.cut_reply_to = b"BLPOP"
        assert layer.receive(["a"], block=True) == (None, None)
        proxy.cut_reply_to = None
        assert layer.receive(["a"], block=True) == ("a", {"n": 2})
        layer.close()


def silent_server() -> socket.socket:
    """Accepts connections (by the kernel's hand) and never says anything."""
    return socket.create_server(("127.0.0.1", 0))


def test_a_server_that_hangs_is_an_error_after_the_timeout() -> None:
    with silent_server() as listener:
        port = listener.getsockname()[1]
        layer = RedisChannelLayer([("127.0.0.1", port)], connection_kwargs={"socket_timeout": 0.2})
        with unavailable("Timeout"):
            layer.send("a", {})
        with unavailable(f"127.0.0.1:{port}"):
            asyncio.run(layer.send_async("a", {}))
        assert layer.receive(["a"], block=True) == (None, None)
        layer.close()


def test_something_that_is_no_redis_is_an_error_that_says_where() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer() -> None:
            for _ in range(2):
                connection, _address = listener.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = InThread(answer)
        layer = RedisChannelLayer([("127.0.0.1", port)])
        with unavailable(f"127.0.0.1:{port}"):
            layer.send("a", {})
        with unavailable(f"127.0.0.1:{port}"):
            asyncio.run(layer.send_async("a", {}))
        thread.outcome()
        layer.close()


def test_a_wrong_password_is_an_error_that_does_not_show_it(caplog: Any) -> None:
    with RedisServer("requirepass secret") as server:
        url = f"redis://:wr0ng@127.0.0.1:{server.port}"
        # With a wrong one and with none; the words are Redis's own.
        for hosts in ([url], [server.url]):
            layer = RedisChannelLayer(hosts)
            with unavailable(f"127.0.0.1:{server.port}"):
                layer.send("a", {})
            with unavailable(f"127.0.0.1:{server.port}"):
                asyncio.run(layer.send_async("a", {}))
            assert layer.receive(["a"], block=True) == (None, None)
            assert "wr0ng" not in caplog.text
            layer.close()


def test_a_full_redis_refuses_and_keeps_what_it_has(server: RedisServer) -> None:
    layer = RedisChannelLayer([server.url])
    layer.send("a", {"n": 1})
    with server.client() as client:
        client.config_set("maxmemory", 1)
        with unavailable("refused", "no effect", "memory"):
            layer.send("a", {"n": 2})
        with unavailable("refused"):
            asyncio.run(layer.send_async("a", {"n": 2}))
        client.config_set("maxmemory", 0)
    assert drain(layer, "a") == [("a", {"n": 1})]
    layer.close()


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


def test_a_thread_that_is_interrupted_gives_up_its_connection(
    server: RedisServer, layer: RedisChannelLayer, monkeypatch: Any
) -> None:
    layer.send("a", {"n": 1})
    [server_of_layer] = layer._driver._servers.values()
    connection = server_of_layer._pool.take()
    server_of_layer._pool.give(connection)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(connection, "read_response", interrupt)
        with pytest.raises(KeyboardInterrupt):
            layer.send("a", {"n": 2})
    layer.send("a", {"n": 3})
    assert [message["n"] for _, message in drain(layer, "a")] == [1, 2, 3]


# Cancelled receives


async def test_what_a_cancelled_receive_takes_later_goes_to_another_reader(
    layer: RedisChannelLayer,
) -> None:
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(layer.receive_async(["p!"]), 0.05)
    layer.send("p!s", {"n": 1})
    found = await asyncio.to_thread(receive_soon, layer, ["p!"])
    assert found == ("p!s", {"n": 1})


async def test_the_next_receive_takes_over_what_a_cancelled_one_waits_for(
    layer: RedisChannelLayer, server: RedisServer
) -> None:
    await layer.receive_async(["p!"])
    start = time.monotonic()
    for _ in range(5):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(layer.receive_async(["p!"]), 0.02)
    with server.client() as client:
        assert client.info("clients")["blocked_clients"] == 1
    layer.send("p!s", {"n": 1})
    assert await layer.receive_async(["p!"]) == ("p!s", {"n": 1})
    assert time.monotonic() - start < 0.8


async def test_what_a_cancelled_receive_took_is_the_next_message(
    layer: RedisChannelLayer, server: RedisServer
) -> None:
    waiting = asyncio.ensure_future(layer.receive_async(["p!"]))
    await asyncio.sleep(0.1)
    layer.send("p!s", {"n": 1})
    layer.send("p!s", {"n": 2})
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    # Other queues, so that the parked pop is not just taken over.
    assert await layer.receive_async(["p!", "other"]) == ("p!s", {"n": 1})
    assert await layer.receive_async(["p!", "other"]) == ("p!s", {"n": 2})


async def test_a_cancelled_receive_of_a_group_message_keeps_all_targets(
    layer: RedisChannelLayer,
) -> None:
    for socket_name in "abc":
        layer.group_add("g", f"p!{socket_name}")
    waiting = asyncio.ensure_future(layer.receive_async(["p!"]))
    await asyncio.sleep(0.1)
    layer.send_group("g", {"n": 1})
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await layer._loops.running().pops.finish()
    assert [name for name, _ in drain(layer, "p!")] == ["p!a", "p!b", "p!c"]


async def test_what_is_given_back_keeps_its_own_expiry(server: RedisServer) -> None:
    layer = RedisChannelLayer([server.url], expiry=0.5)
    waiting = asyncio.ensure_future(layer.receive_async(["a"]))
    await asyncio.sleep(0.1)
    layer.send("a", {"n": 1})
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await layer._loops.running().pops.finish()
    with server.client() as client:
        assert client.llen("asgi:a") == 1
        assert 0 < client.pttl("asgi:a") <= 625
    await layer.close_async()


async def test_a_message_that_cannot_be_given_back_is_logged(
    server: RedisServer, layer: RedisChannelLayer, caplog: Any, monkeypatch: Any
) -> None:
    waiting = asyncio.ensure_future(layer.receive_async(["a"]))
    await asyncio.sleep(0.1)
    layer.send("a", {"n": 1})
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    nowhere = parse_hosts([("127.0.0.1", 1)], None)[0].make_pool()
    monkeypatch.setattr(next(iter(layer._driver._servers.values())), "_pool", nowhere)
    await layer._loops.running().pops.finish()
    assert "a message for a" in caplog.text.lower()


async def test_a_cancelled_receive_that_fails_is_logged(
    layer: RedisChannelLayer, caplog: Any, monkeypatch: Any
) -> None:
    release = asyncio.Event()

    async def fail(names: list[str], batch: bool) -> None:
        await release.wait()
        raise RuntimeError("unexpected")

    pops = layer._loops.running().pops
    monkeypatch.setattr(pops, "_pop", fail)
    waiting = asyncio.ensure_future(layer.receive_async(["a"]))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    release.set()
    await pops.finish()
    await asyncio.sleep(0)
    assert "unexpected" in caplog.text


def test_a_loop_that_ends_with_a_cancelled_receive_leaves_no_warning(
    layer: RedisChannelLayer,
) -> None:
    async def receive() -> None:
        await asyncio.wait_for(layer.receive_async(["a"]), 0.05)

    start = time.monotonic()
    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(receive())
    assert time.monotonic() - start < 0.8
    layer.send("a", {"n": 1})
    assert layer.receive(["a"], block=True) == ("a", {"n": 1})


async def test_a_send_that_is_cancelled_gives_up_its_connection(server: RedisServer) -> None:
    with TcpProxy(server.port) as proxy:
        layer = RedisChannelLayer([("127.0.0.1", proxy.port)])
        await layer.send_async("a", {"n": 1})
        sending = asyncio.ensure_future(layer.send_async("a", {"n": 2, "x": "y" * 5_000_000}))
        await asyncio.sleep(0)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await layer.send_async("a", {"n": 3})
        found = [message["n"] for _, message in drain(layer, "a")]
        assert sorted(found) in ([1, 3], [1, 2, 3])
        await layer.close_async()


def test_many_threads_share_an_outage_without_flooding_the_log(
    server: RedisServer, layer: RedisChannelLayer, caplog: Any
) -> None:
    server.stop()
    barrier = threading.Barrier(5)

    def read() -> None:
        barrier.wait()
        layer.receive(["a"], block=True)

    for thread in [InThread(read) for _ in range(5)]:
        thread.outcome()
    assert len(caplog.records) == 1
