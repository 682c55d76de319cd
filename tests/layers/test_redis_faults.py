"""Redis away for a while."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

import pytest

from channels.exceptions import ChannelLayerUnavailable
from channels.layers.redis import RedisChannelLayer, pools
from channels.layers.redis.outage import Outage
from channels.test.layer_cases.base import InThread, receive_soon

from ..redis_server import RedisServer, wait_until
from .faults import unavailable


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
    assert time.monotonic() - start < 10


def test_a_send_after_a_restart_finds_its_connection_stale_and_makes_a_new_one(
    server: RedisServer, layer: RedisChannelLayer
) -> None:
    layer.send("a", {})
    server.restart()
    layer.send("a", {"n": 1})
    assert layer.receive(["a"]) == ("a", {"n": 1})


def test_after_the_failure_of_a_connection_no_other_is_relied_on(
    server: RedisServer, layer: RedisChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "FRESH_SECONDS", 3600)
    pool = layer._driver._server(layer._driver.locations[0].host)._pool
    for connection in [pool.take() for _ in range(3)]:
        pool.give(connection)
    server.restart()
    with unavailable("may have arrived"):
        layer.send("a", {"n": 0})
    layer.send("a", {"n": 1})
    assert layer.receive(["a"]) == ("a", {"n": 1})


async def test_a_coroutine_relies_on_no_other_connection_after_a_failure(
    server: RedisServer, layer: RedisChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "FRESH_SECONDS", 3600)
    await asyncio.gather(*(layer.send_async("a", {}) for _ in range(3)))
    await asyncio.to_thread(server.restart)
    with unavailable("may have arrived"):
        await layer.send_async("a", {"n": 0})
    await layer.send_async("a", {"n": 1})
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
    server.stop()
    wait_until(lambda: caplog.records, "the receive fails")
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
    assert time.monotonic() - start < 10
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
