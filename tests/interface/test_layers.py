"""The interface server in front of layers of any kind, and of ones that fail."""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
import time
from collections import defaultdict
from typing import Any

import pytest

from channels.interface import replies, websocket
from channels.interface.layer_io import LayerIO
from channels.interface.outbox import Outcome
from channels.interface.replies import ReplyReader
from channels.interface.sizes import MESSAGE_OVERHEAD
from channels.layers import InMemoryChannelLayer
from channels.layers.base import BaseChannelLayer

from .conftest import Site


class Full(Exception):
    """The ``ChannelFull`` of a layer that knows nothing of ours."""


class ThirdPartyLayer:
    """The least that a layer has: no coroutines, no groups."""

    ChannelFull = Full

    def __init__(self, capacity: int = 100) -> None:
        self.capacity = capacity
        self.queues: dict[str, queue.Queue[Any]] = defaultdict(lambda: queue.Queue(capacity))
        self.numbers = itertools.count()

    def send(self, channel: str, message: Any) -> None:
        prefix, mark, _ = channel.partition("!")
        try:
            self.queues[prefix + mark].put_nowait((channel, message))
        except queue.Full:
            raise self.ChannelFull from None

    def receive(self, channels: Any, block: bool = False) -> Any:
        deadline = time.monotonic() + 0.05
        while True:
            for name in channels:
                if not self.queues[name].empty():
                    return self.queues[name].get_nowait()
            if not block or time.monotonic() > deadline:
                return None, None
            time.sleep(0.001)

    def new_channel(self, pattern: str) -> str:
        return f"{pattern}{next(self.numbers)}"


class OldLayer(ThirdPartyLayer):
    """One that has ``receive_many`` only."""

    receive = None  # type: ignore[assignment]

    def receive_many(self, channels: Any, block: bool = False) -> Any:
        return ThirdPartyLayer.receive(self, channels, block)


del OldLayer.receive


async def take(layer: Any, channel: str) -> Any:
    async with asyncio.timeout(5):
        while True:
            _, message = await asyncio.to_thread(ThirdPartyLayer.receive, layer, [channel], True)
            if message is not None:
                return message


@pytest.mark.parametrize("layer_class", [ThirdPartyLayer, OldLayer])
async def test_a_layer_without_coroutines_serves_requests(
    make_site: Any, layer_class: Any
) -> None:
    site = make_site(layer_class())
    client = site.http(None)
    client.give("http.request", body=b"a", more_body=True)
    request = await take(site.layer, "http.request")
    client.give("http.request", body=b"b", more_body=False)
    assert (await take(site.layer, request["body_channel"]))["content"] == b"b"
    site.layer.send(request["reply_channel"], {"status": 200, "content": b"ok"})
    assert (await client.response())[2] == b"ok"
    await take(site.layer, "http.disconnect")


async def test_a_layer_without_coroutines_serves_sockets(make_site: Any) -> None:
    site = make_site(ThirdPartyLayer())
    socket = site.socket()
    connect = await take(site.layer, "websocket.connect")
    site.layer.send(connect["reply_channel"], {"text": "hi"})
    assert (await socket.take())["type"] == "websocket.accept"
    assert (await socket.take())["text"] == "hi"
    for text in "abc":
        socket.text(text)
    socket.leave()
    assert [(await take(site.layer, "websocket.receive"))["text"] for _ in "abc"] == list("abc")
    assert (await take(site.layer, "websocket.disconnect"))["order"] == 4


async def test_a_layer_on_redis_serves_sockets_requests_and_groups(
    make_site: Any, redis_layer: Any
) -> None:
    site = make_site(redis_layer)
    sockets = [await site.open_socket() for _ in range(3)]
    for number, (socket, connect) in enumerate(sockets):
        await asyncio.to_thread(site.layer.group_add, "all", connect["reply_channel"])
        socket.text(str(number))
    frames = [await site.worker.take("websocket.receive") for _ in sockets]
    assert sorted(frame["text"] for frame in frames) == ["0", "1", "2"]
    for text in ("one", "two"):
        await asyncio.to_thread(site.layer.send_group, "all", {"text": text})
    for socket, _ in sockets:
        assert [(await socket.take())["text"] for _ in range(2)] == ["one", "two"]
    client = site.http()
    site.worker.reply(await site.worker.take("http.request"), status=200, content=b"ok")
    assert (await client.response())[2] == b"ok"
    await site.worker.take("http.disconnect")


async def test_the_full_of_a_third_party_is_understood(make_site: Any) -> None:
    site = make_site(ThirdPartyLayer(capacity=1))
    site.layer.send("http.request", {})
    assert (await site.http().response())[0] == 503


class CountingLayer(InMemoryChannelLayer):
    """A subclass that changes the synchronous methods only."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []
        self.received: list[str] = []

    def send(self, channel: str, message: Any) -> None:
        self.sent.append(channel)
        super().send(channel, message)

    def receive_many(self, channels: Any, block: bool = False) -> Any:
        channel, message = super().receive(channels, block)
        if channel is not None:
            self.received.append(channel)
        return channel, message


async def test_what_a_subclass_overrides_is_used() -> None:
    layer = CountingLayer()
    io = LayerIO(layer)
    assert await io.put("a", {}) is Outcome.SENT
    assert await io.receive(["a"]) == [(["a"], {})]
    assert (layer.sent, layer.received) == (["a"], ["a"])
    io.close()


async def test_of_two_ways_that_a_layer_has_the_one_for_several_messages_is_used() -> None:
    used: list[str] = []

    class NotingLayer(InMemoryChannelLayer):
        async def send_async(self, channel: str, message: Any) -> None:
            used.append("send_async")

        async def send_many_async(self, sendings: Any) -> Any:
            used.append("send_many_async")
            return await super().send_many_async(sendings)

        async def receive_async(self, channels: Any) -> Any:
            used.append("receive_async")

        async def receive_batch_async(self, channels: Any) -> Any:
            used.append("receive_batch_async")
            return await super().receive_batch_async(channels)

    io = LayerIO(NotingLayer())
    await io.put("a", {})
    assert await io.receive(["a"]) == [(["a"], {})]
    assert used == ["send_many_async", "receive_batch_async"]
    io.close()


async def test_what_a_layer_inherits_from_the_contract_alone_is_absent() -> None:
    class Partial(BaseChannelLayer):
        def send(self, channel: str, message: Any) -> None:
            self.last = channel

        def receive(self, channels: Any, block: bool = False) -> Any:
            return None, None

    io = LayerIO(Partial())
    assert not io.can_refresh_groups
    assert await io.put("a", {}) is Outcome.SENT
    assert await io.receive(["a"]) == []
    io.close()


async def test_a_layer_behind_a_proxy_is_used() -> None:
    class Proxy:
        def __init__(self, layer: Any) -> None:
            self.wrapped = layer

        def __getattr__(self, name: str) -> Any:
            return getattr(self.wrapped, name)

    io = LayerIO(Proxy(InMemoryChannelLayer()))  # type: ignore[arg-type]
    assert await io.put("a", {"b": 1}) is Outcome.SENT
    assert await io.receive(["a"]) == [(["a"], {"b": 1})]
    assert io.can_refresh_groups
    io.close()


class FailingLayer(InMemoryChannelLayer):
    """Receiving fails ``failures`` times."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    async def receive_async(self, channels: Any) -> Any:
        if self.failures and next(iter(channels)).startswith("http.response"):
            self.failures -= 1
            raise ConnectionError("layer away")
        return await super().receive_async(channels)


async def test_the_reader_survives_a_layer_that_fails(
    make_site: Any, monkeypatch: Any, caplog: Any
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(replies, "FIRST_BACKOFF", 0.01)
    site = make_site(FailingLayer(3))
    client = site.http()
    site.worker.reply(await site.worker.take("http.request"), status=200, content=b"ok")
    assert (await client.response())[2] == b"ok"
    assert caplog.text.count("layer away") == 1
    assert "works again" in caplog.text


def ignore(reply: Any) -> None:
    pass


class EagerLayer(InMemoryChannelLayer):
    """Never waits: gives a message or nothing, at once, without suspending."""

    calls = 0

    async def receive_async(self, channels: Any) -> Any:
        self.calls += 1
        return self.receive(channels)


async def test_an_idle_reader_does_not_spin_on_a_layer_that_never_waits() -> None:
    layer = EagerLayer()
    reader = ReplyReader(LayerIO(layer), ignore)
    reader.start()
    await asyncio.sleep(0.2)
    await reader.stop()
    assert 1 <= layer.calls < 10


async def test_a_busy_reader_lets_other_tasks_run() -> None:
    layer = EagerLayer()
    reader = ReplyReader(LayerIO(layer), ignore)
    turn = replies.TURN_BYTES // MESSAGE_OVERHEAD
    for _ in range(turn * 3):
        layer.send(f"http.response.{reader.process}!gone", {})
    reader.start()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert layer.calls <= turn * 2
    await reader.stop()


class BroadcastLayer(InMemoryChannelLayer):
    """Gives the batches that it is fed with, and then waits."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: asyncio.Queue[Any] = asyncio.Queue()

    async def receive_batch_async(self, channels: Any) -> Any:
        return await self.batches.get()


async def test_a_batch_reaches_every_mailbox_in_its_order() -> None:
    layer = BroadcastLayer()
    unread: list[Any] = []
    reader = ReplyReader(LayerIO(layer), unread.append)
    boxes = [reader.open(replies.SOCKET_REPLIES, 9, 99_999, lambda: None) for _ in range(3)]
    everybody = [box.name for box in boxes]
    reader.start()
    layer.batches.put_nowait([])
    layer.batches.put_nowait(
        [
            (everybody, {"text": "one"}),
            (["websocket.send.gone", boxes[1].name], {"text": "two"}),
            (everybody, {"text": "three"}),
        ]
    )
    async with asyncio.timeout(5):
        received = [[(await box.get()).content["text"]] for box in boxes]
        received[1].append((await boxes[1].get()).content["text"])
        for box, texts in zip(boxes, received, strict=True):
            texts.append((await box.get()).content["text"])
    assert received == [["one", "three"], ["one", "two", "three"], ["one", "three"]]
    assert unread == [{"text": "two"}]
    await reader.stop()


async def test_a_reply_to_very_many_lets_other_tasks_run_meanwhile() -> None:
    layer = BroadcastLayer()
    reader = ReplyReader(LayerIO(layer), ignore)
    boxes = [reader.open(replies.SOCKET_REPLIES, 9, 99_999, lambda: None) for _ in range(1000)]
    reader.start()
    layer.batches.put_nowait([([box.name for box in boxes], {"text": "x"})])
    async with asyncio.timeout(5):
        await boxes[0].get()
    assert boxes[-1].waiting() == []
    async with asyncio.timeout(5):
        await boxes[-1].get()
    await reader.stop()


async def test_a_burst_for_one_connection_does_not_overflow_while_it_is_taken(
    make_site: Any, monkeypatch: Any
) -> None:
    count = 2 * replies.TURN_BYTES // MESSAGE_OVERHEAD
    site = make_site()
    monkeypatch.setattr(websocket, "MAILBOX_BYTES", replies.TURN_BYTES * 5 // 4)
    socket, connect = await site.open_socket()
    for number in range(count):
        site.worker.reply(connect, text=str(number))
    assert [(await socket.take()).get("text") for _ in range(count)] == [
        str(number) for number in range(count)
    ]


async def test_what_no_connection_takes_is_handed_over_all_the_same() -> None:
    layer = InMemoryChannelLayer()
    unread: list[Any] = []
    reader = ReplyReader(LayerIO(layer), unread.append)
    mailbox = reader.open(replies.HTTP_REPLIES, 9, 9999, lambda: None)
    reader.start()
    layer.send(mailbox.name, {"n": 1})
    while not mailbox.waiting():
        await asyncio.sleep(0)
    reader.close(mailbox)
    assert unread == [{"n": 1}]
    layer.send(mailbox.name, {"n": 2})
    while len(unread) < 2:
        await asyncio.sleep(0)
    assert unread[1] == {"n": 2}
    await reader.stop()


async def test_a_reader_that_never_started_can_be_stopped() -> None:
    reader = ReplyReader(LayerIO(InMemoryChannelLayer()), ignore)
    await reader.stop()
    assert "connections=0" in repr(reader)


def test_event_loops_in_several_threads_do_not_mix() -> None:
    site = Site()
    answers: dict[str, bytes] = {}

    async def ask(path: str) -> None:
        client = site.http(path=path)
        answers[path] = (await client.response())[2]
        await client.ended()

    def worker() -> None:
        for _ in range(2):
            while (message := site.layer.receive(["http.request"], block=True)[1]) is None:
                pass
            site.layer.send(
                message["reply_channel"], {"status": 200, "content": message["path"].encode()}
            )

    threads = [threading.Thread(target=lambda p=p: asyncio.run(ask(p))) for p in ("/a", "/b")]
    threads.append(threading.Thread(target=worker))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert answers == {"/a": b"/a", "/b": b"/b"}
    asyncio.run(_use(site))
    assert len(site.application._runtimes) <= 1


async def _use(site: Any) -> None:
    site.application._runtime()
