"""Connections that are cut while a reply comes: nothing arrives twice, and the sender knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from channels import Channel, route
from channels.asgi import ChannelLayerWrapper
from channels.exceptions import ChannelLayerUnavailable
from channels.layers.redis import RedisChannelLayer
from channels.message import Message
from channels.test.layer_cases.base import (
    InThread,
    drain,
    numbers,
    receive_soon,
    receive_soon_async,
)
from channels.types import Sending
from channels.worker import Worker

from ..redis_server import RedisServer, wait_until
from ..tcp_proxy import TcpProxy
from .faults import unavailable

#: A message that the proxy recognises.
CUT: dict[str, Any] = {"text": "cut here"}

#: Messages of a stream that is cut, and how often.
COUNT, CUTS = 200, 5


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[TcpProxy]:
    with TcpProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def cut_layer(layer: RedisChannelLayer, proxy: TcpProxy) -> Iterator[RedisChannelLayer]:
    """The same layer, from behind the proxy."""
    cut_layer = RedisChannelLayer([("127.0.0.1", proxy.port)])
    yield cut_layer
    cut_layer.close()
    layer.flush()


@pytest.fixture
def hasty_layer(layer: RedisChannelLayer, proxy: TcpProxy) -> Iterator[RedisChannelLayer]:
    """The same with one connection of each kind, and little time for a reply."""
    options = {"max_connections": 1, "socket_timeout": 0.5}
    hasty_layer = RedisChannelLayer([("127.0.0.1", proxy.port)], connection_kwargs=options)
    yield hasty_layer
    hasty_layer.close()
    layer.flush()


def raise_one(outcomes: list[Exception | None]) -> None:
    """The outcome of each is the same failure."""
    assert len(outcomes) == 2
    for outcome in outcomes:
        assert isinstance(outcome, ChannelLayerUnavailable)
    raise outcomes[0] or AssertionError


def sendings(number: int) -> list[Sending]:
    return [Sending("p!s", {"n": number, **CUT}), Sending("g", {"n": number + 1}, to_group=True)]


SENDS: dict[str, tuple[int, Callable[[Any, int], Any]]] = {
    "send": (1, lambda one, n: one.send("p!s", {"n": n, **CUT})),
    "send_async": (1, lambda one, n: asyncio.run(one.send_async("p!s", {"n": n, **CUT}))),
    "send_group": (1, lambda one, n: one.send_group("g", {"n": n, **CUT})),
    "send_many": (2, lambda one, n: raise_one(one.send_many(sendings(n)))),
    "send_many_async": (
        2,
        lambda one, n: raise_one(asyncio.run(one.send_many_async(sendings(n)))),
    ),
    "turn": (2, lambda one, n: raise_one(one.turn(sendings(n), ["nothing"])[0])),
}


@pytest.mark.parametrize("name", SENDS)
def test_what_was_sent_without_a_reply_is_there_once_and_the_sender_knows(
    layer: RedisChannelLayer, cut_layer: RedisChannelLayer, proxy: TcpProxy, name: str
) -> None:
    messages, send = SENDS[name]
    layer.group_add("g", "p!s")
    proxy.cut_reply_to = b"cut here"
    for number in range(1, 3 * messages + 1, messages):
        with unavailable("did not answer", "may have arrived", "not repeated") as raised:
            send(cut_layer, number)
        assert raised.value.may_have_arrived
    assert proxy.cuts == 3
    assert numbers(layer, "p!") == list(range(1, 3 * messages + 1))


@pytest.mark.parametrize("name", SENDS)
def test_a_reply_that_never_comes_is_the_same_after_the_timeout(
    layer: RedisChannelLayer, hasty_layer: RedisChannelLayer, proxy: TcpProxy, name: str
) -> None:
    messages, send = SENDS[name]
    layer.group_add("g", "p!s")
    proxy.hang_reply_to = b"cut here"
    with unavailable("did not answer", "Timeout", "may have arrived") as raised:
        send(hasty_layer, 1)
    assert raised.value.may_have_arrived
    assert numbers(layer, "p!") == list(range(1, messages + 1))


@pytest.mark.parametrize("name", ["group_add", "group_discard"])
def test_a_membership_whose_reply_is_lost_is_as_asked_for(
    layer: RedisChannelLayer, cut_layer: RedisChannelLayer, proxy: TcpProxy, name: str
) -> None:
    layer.group_add("g", "p!other")
    if name == "group_discard":
        layer.group_add("g", "p!s")
    proxy.cut_reply_to = b"joined:p!"
    with unavailable("may have arrived"):
        getattr(cut_layer, name)("g", "p!s")
    wanted = ["p!other"] if name == "group_discard" else ["p!other", "p!s"]
    assert sorted(layer.group_channels("g")) == wanted


# A pop whose connection is cut

Receive = Callable[[RedisChannelLayer], list[int]]


def receive(layer: RedisChannelLayer) -> list[int]:
    _, message = layer.receive(["p!"], block=True)
    return [message["n"]] if message else []


def receive_async(layer: RedisChannelLayer) -> list[int]:
    _, message = asyncio.run(layer.receive_async(["p!"]))
    return [message["n"]] if message else []


def receive_batch_async(layer: RedisChannelLayer) -> list[int]:
    return [message["n"] for _, message in asyncio.run(layer.receive_batch_async(["p!"]))]


@pytest.mark.parametrize(
    ("take", "taken"), [(receive, 1), (receive_async, 1), (receive_batch_async, 3)]
)
def test_a_cut_pop_loses_what_it_has_popped_and_nothing_else(
    layer: RedisChannelLayer,
    cut_layer: RedisChannelLayer,
    proxy: TcpProxy,
    take: Receive,
    taken: int,
) -> None:
    layer.send_many([Sending("p!s", {"n": n}) for n in range(3)])
    proxy.cut_reply_to = b"BLPOP"
    assert take(cut_layer) == []
    proxy.cut_reply_to = None
    layer.send("p!s", {"n": 3})
    found: list[int] = []
    while 3 not in found:
        found += take(cut_layer)
    assert found == list(range(taken, 4))


@pytest.mark.parametrize("take", [receive, receive_async, receive_batch_async])
def test_a_pop_that_is_cut_while_it_waits_loses_nothing(
    layer: RedisChannelLayer,
    cut_layer: RedisChannelLayer,
    proxy: TcpProxy,
    server: RedisServer,
    take: Receive,
) -> None:
    for number in range(3):
        waiting = InThread(take, cut_layer)
        with server.client() as client:
            wait_until(
                lambda client=client: client.info("clients")["blocked_clients"], "a pop waits"
            )
            proxy.cut_all()
            assert waiting.outcome() == []
            wait_until(
                lambda client=client: not client.info("clients")["blocked_clients"],
                "Redis knows that the connection is gone",
            )
        layer.send("p!s", {"n": number})
        assert receive_soon(layer, ["p!"])[1] == {"n": number}


@pytest.mark.parametrize("take", [receive, receive_async, receive_batch_async])
def test_a_pop_whose_reply_never_comes_ends_after_the_timeout(
    layer: RedisChannelLayer, hasty_layer: RedisChannelLayer, proxy: TcpProxy, take: Receive
) -> None:
    layer.send("p!s", {"n": 0})
    proxy.hang_reply_to = b"BLPOP"
    assert take(hasty_layer) == []
    proxy.hang_reply_to = None
    layer.send("p!s", {"n": 1})
    found: list[int] = []
    while not found:
        found = take(hasty_layer)
    assert found == [1]


async def test_a_connection_that_broke_makes_room_for_another_one(
    hasty_layer: RedisChannelLayer, proxy: TcpProxy
) -> None:
    for number in range(3):
        proxy.cut_reply_to = b"p!"
        with unavailable("may have arrived"):
            await asyncio.to_thread(hasty_layer.send, "p!s", CUT)
        with unavailable("may have arrived"):
            await hasty_layer.send_async("p!s", CUT)
        await asyncio.to_thread(hasty_layer.receive, ["p!"], True)
        await hasty_layer.receive_async(["p!"])
        proxy.cut_reply_to = None
        hasty_layer.flush()
        await hasty_layer.send_async("p!s", {"n": number})
        assert await receive_soon_async(hasty_layer, ["p!"]) == ("p!s", {"n": number})
    await hasty_layer.close_async()


# Turns of a worker


def reply(message: Message) -> None:
    layer = message.channel_layer
    for _ in range(2):
        Channel("p!s", channel_layer=layer).send({"n": message["n"]})


@pytest.fixture
def worker(cut_layer: RedisChannelLayer) -> Iterator[None]:
    """A worker that sends two replies to each message, with its next receive."""
    worker = Worker(
        ChannelLayerWrapper(cut_layer, "cut", [route("work", reply)]), signal_handlers=False
    )
    running = InThread(worker.run)
    yield
    worker.termed = True
    running.outcome()


@pytest.mark.usefixtures("worker")
def test_turns_that_are_cut_send_their_replies_once_and_lose_at_most_what_they_popped(
    layer: RedisChannelLayer, proxy: TcpProxy
) -> None:
    found: list[int] = []
    for start in range(0, COUNT, COUNT // CUTS):
        layer.send_many([Sending("work", {"n": n}) for n in range(start, start + COUNT // CUTS)])
        cuts = proxy.cuts
        proxy.cut_reply_to = b"BLPOP"
        proxy.wait_until(lambda cuts=cuts: proxy.cuts > cuts, "a cut")
        proxy.cut_reply_to = None
    layer.send("work", {"n": COUNT})
    while found[-2:] != [COUNT, COUNT]:
        found.append(receive_soon(layer, ["p!"])[1]["n"])
    handled = found[::2]
    assert found[1::2] == handled == sorted(set(handled))
    lost = COUNT + 1 - len(handled)
    print(f"{proxy.cuts} turns were cut, {lost} messages are lost.")
    assert lost <= proxy.cuts


@pytest.mark.usefixtures("worker")
def test_scripts_that_redis_forgets_between_turns_cost_no_message(
    layer: RedisChannelLayer, server: RedisServer
) -> None:
    found: list[int] = []
    with server.client() as client:
        for number in range(3):
            layer.send("work", {"n": number})
            client.script_flush()
            found += [receive_soon(layer, ["p!"])[1]["n"] for _ in range(2)]
    assert found == [number for number in range(3) for _ in range(2)]
    assert drain(layer, "p!", "work") == []
