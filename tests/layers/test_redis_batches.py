"""Many messages at once, and what happens in the middle of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from channels.exceptions import ChannelFull, ChannelLayerUnavailable
from channels.layers.redis import RedisChannelLayer
from channels.layers.redis import batch as batch_module
from channels.layers.redis.hosts import parse_hosts
from channels.test.layer_cases.base import numbers
from channels.types import Sending


@pytest.mark.parametrize("size", [1, 2_000])
def test_a_turn_of_several_rounds_refuses_what_does_not_fit_and_sends_the_rest(
    redis_layer: RedisChannelLayer, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(batch_module, "PUSHES_AT_ONCE", 3)
    monkeypatch.setattr(batch_module, "BYTES_AT_ONCE", 3_000)
    redis_layer.capacity = 2
    sendings = [Sending("full", {"n": n, "x": "y" * size}) for n in range(10)]
    outcomes, received = redis_layer.turn([*sendings, Sending("free", {"n": 10})], ["free"])
    assert [type(outcome) for outcome in outcomes] == [type(None)] * 2 + [ChannelFull] * 8 + [
        type(None)
    ]
    assert received == ("free", {"n": 10})
    assert numbers(redis_layer, "full") == [0, 1]


async def test_closing_waits_for_what_a_cancelled_receive_gives_back(
    redis_layer: RedisChannelLayer,
) -> None:
    waiting = asyncio.ensure_future(redis_layer.receive_async(["a"]))
    await asyncio.sleep(0.1)
    waiting.cancel()
    redis_layer.send("a", {"n": 1})
    await asyncio.gather(waiting, return_exceptions=True)
    await redis_layer.close_async()
    assert numbers(redis_layer, "a") == [1]


def test_what_was_opened_is_handed_out_when_the_next_cannot_be(
    redis_layer: RedisChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_layer.group_add("g", "p!1")
    redis_layer.send("p!1", {"n": 1})
    redis_layer.send_group("g", {"n": 2})

    def fail(*_: Any) -> Any:
        raise ChannelLayerUnavailable("away")
        yield

    with monkeypatch.context() as patch:
        patch.setattr(redis_layer._receiver.processes, "members", fail)
        assert asyncio.run(redis_layer.receive_batch_async(["p!"])) == [(["p!1"], {"n": 1})]
    assert asyncio.run(redis_layer.receive_batch_async(["p!"])) == [(["p!1"], {"n": 2})]


def test_a_clock_that_was_set_back_lets_nothing_expire(redis_layer: RedisChannelLayer) -> None:
    redis_layer.receive(["a", "p!"], block=True)
    redis_layer._shards[0].clock._ahead += 120
    for n in range(3):
        redis_layer.send("a", {"n": n})
        assert redis_layer.receive(["a"], block=True) == ("a", {"n": n})


def test_the_clock_of_another_server_is_not_relied_on(
    redis_layer: RedisChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_layer.receive(["a"], block=True)
    shard = redis_layer._shards[0]
    assert shard.knows_time()
    with monkeypatch.context() as patch:
        patch.setattr(shard.location, "host", parse_hosts([("127.0.0.1", 1)], None)[0])
        assert not shard.knows_time()
    assert shard.knows_time()
