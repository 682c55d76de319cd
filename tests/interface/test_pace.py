"""How long one batch follows the other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from channels.interface import layer_io
from channels.interface.feed import Feed
from channels.interface.layer_io import Delivery, LayerIO
from channels.interface.outbox import Outcome
from channels.interface.pace import LONGEST, SHARE, STRETCH, WORTH, Gap, Pace
from channels.layers import InMemoryChannelLayer
from channels.types import Sending

from .asgi_client import LIMIT


class Clock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def converse(pace: Pace, clock: Clock, connections: int, rate: float, seconds: float) -> None:
    """So many connections send in turn, so many messages per second together."""
    for number in range(round(rate * seconds)):
        pace.note(number % connections)
        clock.now += 1 / rate


@pytest.mark.parametrize("rate", [10, 1000, 5000, 100_000])
@pytest.mark.parametrize("connections", [1, 2, round(WORTH / SHARE) - 1])
def test_few_connections_never_wait(connections: int, rate: float) -> None:
    clock = Clock()
    pace = Pace(clock)
    for _ in range(20):
        converse(pace, clock, connections, rate, STRETCH)
        assert pace.interval == 0


def test_many_connections_wait_for_a_small_part_of_their_conversations() -> None:
    clock = Clock()
    pace = Pace(clock)
    converse(pace, clock, 50, 5000, 2 * STRETCH)
    assert pace.interval == pytest.approx(0.010 * SHARE, rel=0.05)
    assert repr(pace) == "<Pace interval=0.0017 talking=50>"


def test_nobody_waits_for_longer_than_the_limit() -> None:
    clock = Clock()
    pace = Pace(clock)
    converse(pace, clock, 10_000, 5000, 2 * STRETCH)
    assert pace.interval == LONGEST


def test_quick_conversations_do_not_wait_as_gathering_would_take_too_much_of_them() -> None:
    clock = Clock()
    pace = Pace(clock)
    converse(pace, clock, 50, 20_000, 2 * STRETCH)
    assert pace.interval == 0


def test_nobody_waits_where_nothing_would_gather() -> None:
    clock = Clock()
    pace = Pace(clock)
    converse(pace, clock, 10_000, (WORTH - 1) / LONGEST, 1)
    assert pace.interval == 0


def test_nobody_waits_any_more_when_the_load_has_ended() -> None:
    clock = Clock()
    pace = Pace(clock)
    converse(pace, clock, 100, 5000, 2 * STRETCH)
    assert pace.interval > 0
    clock.now += 2 * STRETCH
    assert pace.interval == 0
    clock.now += 1
    pace.note(1)
    assert pace.interval == 0


def test_connections_that_are_silent_do_not_count() -> None:
    clock = Clock()
    pace = Pace(clock)
    converse(pace, clock, 50, 5000, 2 * STRETCH)
    converse(pace, clock, 5, 5000, 2 * STRETCH)
    assert pace.interval == 0


def test_connections_that_follow_each_other_do_not_add_up() -> None:
    clock = Clock()
    pace = Pace(clock)
    for number in range(1000):
        pace.note(number)
        clock.now += 1 / 5000
        pace.forget(number)
        assert pace.interval == 0


async def test_a_gap_lasts_until_its_interval_is_over() -> None:
    clock = Clock()
    pace = Pace(clock)
    gap = Gap(pace)
    await gap.wait()
    converse(pace, clock, 100, 5000, 2 * STRETCH)
    gap.begin()
    waiting = asyncio.create_task(gap.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    async with asyncio.timeout(LIMIT):
        await waiting
    clock.now += LONGEST
    passing = asyncio.create_task(gap.wait())
    await asyncio.sleep(0)
    assert passing.done()


class Barrier(Gap):
    """A gap that lasts until it is opened."""

    def __init__(self, pace: Pace) -> None:
        super().__init__(pace)
        self.open = asyncio.Event()
        self.open.set()
        self.begun = 0

    async def wait(self) -> None:
        await self.open.wait()

    def begin(self) -> None:
        self.begun += 1


@pytest.fixture
def gaps(monkeypatch: pytest.MonkeyPatch) -> list[Barrier]:
    made: list[Barrier] = []

    def make(pace: Pace) -> Barrier:
        made.append(Barrier(pace))
        return made[-1]

    monkeypatch.setattr(layer_io, "Gap", make)
    return made


class BatchLayer(InMemoryChannelLayer):
    """Notes what is sent together, and each receive."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[Any]] = []
        self.receives = 0

    async def send_many_async(self, sendings: Sequence[Sending]) -> list[Exception | None]:
        self.batches.append([sending.message["n"] for sending in sendings])
        return await super().send_many_async(sendings)

    async def receive_batch_async(self, channels: Any) -> list[Delivery]:
        self.receives += 1
        return await super().receive_batch_async(channels)


async def test_what_comes_within_a_gap_goes_together(gaps: list[Barrier]) -> None:
    layer = BatchLayer()
    io = LayerIO(layer)
    receive_gap, send_gap = gaps
    send_gap.open.clear()
    feeds = [Feed(io) for _ in range(4)]
    tasks = []
    for number, feed in enumerate(feeds):
        tasks.append(asyncio.create_task(feed.put("a", {"n": number})))
        await asyncio.sleep(0)
    assert layer.batches == []
    send_gap.open.set()
    async with asyncio.timeout(LIMIT):
        assert await asyncio.gather(*tasks) == [Outcome.SENT] * 4
        await io.settle()
    assert layer.batches == [[0, 1, 2, 3]]
    assert (send_gap.begun, receive_gap.begun) == (1, 0)
    io.close()


async def test_nothing_is_taken_within_a_gap(gaps: list[Barrier]) -> None:
    layer = BatchLayer()
    io = LayerIO(layer)
    receive_gap = gaps[0]
    receive_gap.open.clear()
    layer.send("a", {"n": 1})
    cancelled = asyncio.create_task(io.receive(["a"]))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait({cancelled})
    assert (layer.receives, receive_gap.begun) == (0, 0)
    receive_gap.open.set()
    async with asyncio.timeout(LIMIT):
        assert await io.receive(["a"]) == [(["a"], {"n": 1})]
    assert receive_gap.begun == 1
    io.close()


async def test_layers_that_take_messages_one_by_one_have_no_gaps(gaps: list[Barrier]) -> None:
    class SingleLayer(InMemoryChannelLayer):
        async def send_async(self, channel: str, message: Any) -> None:
            self.send(channel, message)

        async def receive_async(self, channels: Any) -> Any:
            return self.receive(channels)

    layer = SingleLayer()
    io = LayerIO(layer)
    for gap in gaps:
        gap.open.clear()
    async with asyncio.timeout(LIMIT):
        assert await io.put("a", {"n": 1}) is Outcome.SENT
        assert await io.receive(["a"]) == [(["a"], {"n": 1})]
    io.close()


async def test_requests_and_sockets_count_until_they_end(site: Any) -> None:
    async def talking() -> int:
        runtime = site.application._runtime()
        async with asyncio.timeout(LIMIT):
            while runtime._tasks:
                await asyncio.wait(runtime._tasks)
        return len(runtime.io.pace._talking)

    client = site.http()
    request = await site.worker.take("http.request")
    assert await talking() == 1
    site.worker.reply(request, status=200, content=b"ok")
    assert (await client.response())[2] == b"ok"
    await site.worker.take("http.disconnect")
    assert await talking() == 0
    socket, _ = await site.open_socket()
    assert await talking() == 1
    socket.leave()
    await site.worker.take("websocket.disconnect")
    await socket.ended()
    assert await talking() == 0
