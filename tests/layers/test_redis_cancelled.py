"""Receives and sends that are cancelled, or interrupted, while they are under way."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from channels.layers.redis import RedisChannelLayer
from channels.layers.redis.hosts import parse_hosts
from channels.test.layer_cases.base import drain, receive_soon

from ..redis_server import RedisServer, wait_until
from ..tcp_proxy import TcpProxy

#: Seconds for which the server holds receives of some tests; the layer waits ten for an answer.
LONG = 8.0


async def blocked(server: RedisServer) -> None:
    """Wait until the server holds one receive, and no other."""

    def is_held() -> bool:
        return bool(server.ask("INFO", "clients")["blocked_clients"] == 1)

    await asyncio.to_thread(wait_until, is_held, "the server holds one receive")


async def cancelled(receiving: asyncio.Future[Any]) -> None:
    """Cancel it, and wait for its end."""
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving


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
    layer._receiver._block_seconds = LONG
    for _ in range(5):
        waiting = asyncio.ensure_future(layer.receive_async(["p!"]))
        await blocked(server)
        await cancelled(waiting)
    layer.send("p!s", {"n": 1})
    # One that the server held for longer would have taken it.
    async with asyncio.timeout(LONG / 2):
        assert await layer.receive_async(["p!"]) == ("p!s", {"n": 1})


async def test_what_a_cancelled_receive_took_is_the_next_message(
    layer: RedisChannelLayer, server: RedisServer
) -> None:
    waiting = asyncio.ensure_future(layer.receive_async(["p!"]))
    await blocked(server)
    layer.send("p!s", {"n": 1})
    layer.send("p!s", {"n": 2})
    await cancelled(waiting)
    # Other queues, so that the parked pop is not just taken over.
    assert await layer.receive_async(["p!", "other"]) == ("p!s", {"n": 1})
    assert await layer.receive_async(["p!", "other"]) == ("p!s", {"n": 2})


async def test_a_cancelled_receive_of_a_group_message_keeps_all_targets(
    layer: RedisChannelLayer, server: RedisServer
) -> None:
    for socket_name in "abc":
        layer.group_add("g", f"p!{socket_name}")
    waiting = asyncio.ensure_future(layer.receive_async(["p!"]))
    await blocked(server)
    layer.send_group("g", {"n": 1})
    await cancelled(waiting)
    await layer._loops.running().pops.finish()
    assert [name for name, _ in drain(layer, "p!")] == ["p!a", "p!b", "p!c"]


async def test_what_is_given_back_keeps_its_own_expiry(server: RedisServer) -> None:
    layer = RedisChannelLayer([server.url], expiry=30)
    waiting = asyncio.ensure_future(layer.receive_async(["a"]))
    await blocked(server)
    layer.send("a", {"n": 1})
    await cancelled(waiting)
    await layer._loops.running().pops.finish()
    with server.client() as client:
        assert client.llen("asgi:a") == 1
        assert 0 < client.pttl("asgi:a") <= 37_500
    await layer.close_async()


async def test_a_message_that_cannot_be_given_back_is_logged(
    server: RedisServer, layer: RedisChannelLayer, caplog: Any, monkeypatch: Any
) -> None:
    waiting = asyncio.ensure_future(layer.receive_async(["a"]))
    await blocked(server)
    layer.send("a", {"n": 1})
    await cancelled(waiting)
    nowhere = parse_hosts([("127.0.0.1", 1)], None)[0].make_pool()
    monkeypatch.setattr(next(iter(layer._driver._servers.values())), "_pool", nowhere)
    await layer._loops.running().pops.finish()
    assert "a message for a" in caplog.text.lower()


async def test_a_cancelled_receive_that_fails_is_logged(
    layer: RedisChannelLayer, caplog: Any, monkeypatch: Any
) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def fail(names: list[str], batch: bool) -> None:
        begun.set()
        await release.wait()
        raise RuntimeError("unexpected")

    pops = layer._loops.running().pops
    monkeypatch.setattr(pops, "_pop", fail)
    waiting = asyncio.ensure_future(layer.receive_async(["a"]))
    await begun.wait()
    await cancelled(waiting)
    release.set()
    await pops.finish()
    await asyncio.sleep(0)
    assert "unexpected" in caplog.text


def test_a_loop_that_ends_with_a_cancelled_receive_leaves_no_warning(
    layer: RedisChannelLayer,
) -> None:
    async def receive() -> None:
        await asyncio.wait_for(layer.receive_async(["a"]), 0.05)

    layer._receiver._block_seconds = LONG
    start = time.monotonic()
    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(receive())
    assert time.monotonic() - start < LONG / 2
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
