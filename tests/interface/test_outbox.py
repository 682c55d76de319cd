"""Messages on their way to the layer, several at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest

from channels.exceptions import ChannelLayerUnavailable
from channels.interface import layer_io, outbox
from channels.interface.feed import Feed
from channels.interface.layer_io import LayerIO
from channels.interface.outbox import Outcome
from channels.layers import InMemoryChannelLayer
from channels.types import Sending

from .asgi_client import LIMIT


class BatchLayer(InMemoryChannelLayer):
    """Notes what comes together, and keeps it under way until ``gate`` opens."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.batches: list[list[Any]] = []
        self.arrived = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def send_many_async(self, sendings: Sequence[Sending]) -> list[Exception | None]:
        self.batches.append([sending.message.get("n") for sending in sendings])
        self.arrived.set()
        await self.gate.wait()
        return await super().send_many_async(sendings)


def put_all(io: LayerIO, count: int, **content: Any) -> list[asyncio.Task[Outcome]]:
    """Messages 0, 1, ... on channel ``a``, each of them awaited by a task of its own."""
    return [asyncio.create_task(io.put("a", {"n": n, **content})) for n in range(count)]


async def outcomes(tasks: list[asyncio.Task[Outcome]]) -> list[Outcome]:
    async with asyncio.timeout(LIMIT):
        return await asyncio.gather(*tasks)


async def one_under_way(layer: BatchLayer, io: LayerIO) -> asyncio.Task[Outcome]:
    layer.gate.clear()
    first = asyncio.create_task(io.put("a", {"n": "first"}))
    await layer.arrived.wait()
    return first


async def test_an_idle_server_sends_a_message_at_once_and_by_itself() -> None:
    layer = BatchLayer()
    io = LayerIO(layer)
    for n in range(3):
        assert await io.put("a", {"n": n}) is Outcome.SENT
    assert layer.batches == [[0], [1], [2]]


async def test_what_comes_while_a_message_is_under_way_goes_together() -> None:
    layer = BatchLayer()
    io = LayerIO(layer)
    first = await one_under_way(layer, io)
    tasks = put_all(io, 5)
    await asyncio.sleep(0)
    assert layer.batches == [["first"]]
    layer.gate.set()
    assert await outcomes([first, *tasks]) == [Outcome.SENT] * 6
    assert layer.batches == [["first"], [0, 1, 2, 3, 4]]
    received = [layer.receive(["a"])[1] for _ in range(6)]
    assert [m and m["n"] for m in received] == ["first", 0, 1, 2, 3, 4]


async def test_what_an_answer_leads_to_is_sent_as_well() -> None:
    io = LayerIO(BatchLayer())
    feeds = [Feed(io) for _ in range(2)]

    async def converse(feed: Feed) -> None:
        for _ in range(10):
            assert await feed.put("a", {}) is Outcome.SENT

    async with asyncio.timeout(LIMIT):
        await asyncio.gather(*(converse(feed) for feed in feeds))
    assert [feed.delivered for feed in feeds] == [10, 10]


async def test_a_batch_holds_no_more_messages_than_its_limit() -> None:
    layer = BatchLayer()
    io = LayerIO(layer)
    limit = layer_io.BATCHES.messages
    first = await one_under_way(layer, io)
    tasks = put_all(io, 2 * limit + 1)
    await asyncio.sleep(0)
    layer.gate.set()
    await outcomes([first, *tasks])
    assert [len(batch) for batch in layer.batches] == [1, limit, limit, 1]


@pytest.mark.parametrize("key", ["text", "bytes", "content", "body"])
async def test_a_batch_holds_no_more_bytes_than_its_limit(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setattr(outbox, "BATCH_BYTES", 10_000)
    layer = BatchLayer()
    io = LayerIO(layer)
    first = await one_under_way(layer, io)
    tasks = put_all(io, 3, **{key: b"x" * 4000})
    tasks += put_all(io, 1, **{key: b"x" * 20_000})
    await asyncio.sleep(0)
    layer.gate.set()
    await outcomes([first, *tasks])
    assert layer.batches == [["first"], [0, 1], [2], [0]]


async def test_a_message_that_fails_does_not_touch_the_others(caplog: Any) -> None:
    layer = BatchLayer(channel_capacity={"full": 1}, max_message_size=1000)
    layer.send("full", {})
    io = LayerIO(layer)
    first = await one_under_way(layer, io)
    messages: list[tuple[str, dict[str, Any]]] = [
        ("a", {"n": 1}),
        ("full", {"n": 2}),
        ("a", {"n": 3, "text": "x" * 2000}),
        ("a", {"n": 4, "value": object()}),
        ("a", {"n": 5}),
    ]
    tasks = [asyncio.create_task(io.put(*message)) for message in messages]
    await asyncio.sleep(0)
    layer.gate.set()
    assert await outcomes([first, *tasks]) == [
        Outcome.SENT,
        Outcome.SENT,
        Outcome.FULL,
        Outcome.TOO_LARGE,
        Outcome.FAILED,
        Outcome.SENT,
    ]
    assert layer.batches == [["first"], [1, 2, 3, 4, 5]]
    assert "max_message_size" in caplog.text
    assert "object" in caplog.text


class BrokenLayer(BatchLayer):
    """Its sends fail, all at once, with ``error``, as long as there is one."""

    error: Exception | None = None

    async def send_many_async(self, sendings: Sequence[Sending]) -> list[Exception | None]:
        outcomes = await super().send_many_async(sendings)
        if self.error:
            raise self.error
        return outcomes


@pytest.mark.parametrize(
    ("arrived", "outcome"), [(False, Outcome.FAILED), (True, Outcome.UNKNOWN)]
)
async def test_what_a_layer_raises_is_the_outcome_of_the_whole_batch(
    arrived: bool, outcome: Outcome, caplog: Any
) -> None:
    layer = BrokenLayer()
    io = LayerIO(layer)
    first = await one_under_way(layer, io)
    tasks = put_all(io, 3)
    await asyncio.sleep(0)
    layer.error = ChannelLayerUnavailable("layer away", may_have_arrived=arrived)
    layer.gate.set()
    assert await outcomes([first, *tasks]) == [outcome] * 4
    assert [r.levelno for r in caplog.records].count(logging.ERROR) == 1
    layer.error, error = None, layer.error
    assert await io.put("a", {}) is Outcome.SENT
    layer.error = error
    assert await io.put("a", {}) is outcome
    assert [r.levelno for r in caplog.records].count(logging.ERROR) == 2


async def test_a_layer_that_does_not_tell_every_outcome_has_failed(caplog: Any) -> None:
    class CuttingLayer(BatchLayer):
        async def send_many_async(self, sendings: Sequence[Sending]) -> list[Exception | None]:
            return (await super().send_many_async(sendings))[1:]

    io = LayerIO(CuttingLayer())
    async with asyncio.timeout(LIMIT):
        assert await io.put("a", {}) is Outcome.FAILED
    assert "Sending to a failed" in caplog.text


async def test_a_send_that_is_cancelled_may_have_arrived_and_others_follow() -> None:
    class CancelledLayer(BatchLayer):
        async def send_many_async(self, sendings: Sequence[Sending]) -> list[Exception | None]:
            await super().send_many_async(sendings)
            raise asyncio.CancelledError

    layer = CancelledLayer()
    io = LayerIO(layer)
    first = await one_under_way(layer, io)
    tasks = put_all(io, 2)
    await asyncio.sleep(0)
    layer.gate.set()
    assert await outcomes([first, *tasks]) == [Outcome.UNKNOWN] * 3


async def test_a_message_goes_on_when_nobody_waits_for_it_any_more() -> None:
    layer = BatchLayer()
    io = LayerIO(layer)
    first = await one_under_way(layer, io)
    [second] = put_all(io, 1)
    await asyncio.sleep(0)
    for task in (first, second):
        task.cancel()
    layer.gate.set()
    async with asyncio.timeout(LIMIT):
        await io.settle()
    assert layer.batches == [["first"], [0]]
    assert layer.channel_statistics("a")["messages_pending"] == 2


class TestPostedAlong:
    async def test_it_goes_with_the_next_message(self) -> None:
        layer = BatchLayer()
        io = LayerIO(layer)
        io.post_along("b", {"n": "rider"})
        await asyncio.sleep(0)
        assert layer.batches == []
        assert await io.put("a", {"n": 1}) is Outcome.SENT
        assert layer.batches == [["rider", 1]]
        assert layer.receive(["b"])[0] == "b"

    async def test_it_goes_by_itself_when_there_is_no_other(self) -> None:
        layer = BatchLayer()
        io = LayerIO(layer)
        for _ in range(2):
            layer.arrived.clear()
            for n in range(3):
                io.post_along("b", {"n": n})
            async with asyncio.timeout(LIMIT):
                await layer.arrived.wait()
        assert layer.batches == [[0, 1, 2], [0, 1, 2]]
        await io.settle()

    async def test_it_goes_at_once_in_the_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox, "RIDE_SECONDS", 3600.0)
        layer = BatchLayer()
        io = LayerIO(layer)
        io.post_along("b", {"n": 1})
        async with asyncio.timeout(LIMIT):
            await io.settle()
        assert layer.batches == [[1]]

    async def test_it_keeps_nothing_waiting_where_messages_go_one_by_one(self) -> None:
        class SingleLayer(InMemoryChannelLayer):
            async def send_async(self, channel: str, message: Any) -> None:
                if channel == "slow":
                    await asyncio.Event().wait()
                self.send(channel, message)

        io = LayerIO(SingleLayer())
        io.post_along("slow", {})
        async with asyncio.timeout(LIMIT):
            assert await io.put("a", {}) is Outcome.SENT


async def test_state_shows_in_repr() -> None:
    layer = BatchLayer()
    io = LayerIO(layer)
    first = await one_under_way(layer, io)
    parcel = io.post("a", {})
    assert repr(io._outbox) == "<Outbox waiting=1 batches=1>"
    assert repr(parcel) == "<Parcel a on its way>"
    layer.gate.set()
    await outcomes([first])
    await io.settle()
    assert repr(io._outbox) == "<Outbox waiting=0 batches=0>"
    assert repr(parcel) == "<Parcel a sent>"
