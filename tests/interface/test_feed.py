"""One connection's messages on their way to the layer."""

from __future__ import annotations

import asyncio
from typing import Any

from channels.interface.feed import Backoff, Feed
from channels.interface.layer_io import LayerIO
from channels.interface.outbox import Outcome
from channels.layers import InMemoryChannelLayer

from .asgi_client import LIMIT


class GatedLayer(InMemoryChannelLayer):
    """Sends of ``first`` take until ``gate`` opens."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def send_async(self, channel: str, message: Any) -> None:
        if message.get("first"):
            await self.gate.wait()
        self.send(channel, message)


async def test_a_message_follows_one_whose_sender_was_cancelled() -> None:
    layer = GatedLayer()
    feed = Feed(LayerIO(layer))
    first = asyncio.create_task(feed.put("a", {"first": True}))
    await asyncio.sleep(0.01)
    first.cancel()
    second = asyncio.create_task(feed.put("a", {"second": True}))
    await asyncio.wait({second}, timeout=0.02)
    assert feed.delivered == 0
    layer.gate.set()
    assert await second is Outcome.SENT
    assert [layer.receive(["a"])[1] for _ in "12"] == [{"first": True}, {"second": True}]
    assert feed.delivered == 2


async def test_a_message_counts_once_however_many_wait_for_it() -> None:
    layer = GatedLayer()
    feed = Feed(LayerIO(layer))
    put = asyncio.create_task(feed.put("a", {"first": True}))
    waiting = [asyncio.create_task(feed.settle()) for _ in range(3)]
    await asyncio.sleep(0)
    layer.gate.set()
    async with asyncio.timeout(LIMIT):
        await asyncio.gather(put, *waiting)
    assert feed.delivered == 1


async def test_pauses_grow_up_to_the_end_of_the_patience() -> None:
    pauses = [backoff.next_pause() for backoff in [Backoff(None)] for _ in range(10)]
    assert pauses[:3] == [Backoff.FIRST, 2 * Backoff.FIRST, 4 * Backoff.FIRST]
    assert pauses[-1] == Backoff.LONGEST
    short = Backoff(0.03)
    assert short.next_pause() == Backoff.FIRST
    assert short.next_pause() <= 0.03
    assert not short.exhausted
    assert Backoff(0).exhausted
