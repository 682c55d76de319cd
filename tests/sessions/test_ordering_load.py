"""Ordering with many workers and many sockets: every message, once, in order, one at a time."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Any

import pytest

from channels import Channel, channel_layers, route
from channels.asgi import ChannelLayerWrapper
from channels.layers import InMemoryChannelLayer
from channels.message import Message
from channels.sessions import channel_session, enforce_ordering, wait_channel_name

from .tools import drain, row_exists, workers

WORKERS = 6
SOCKETS = 5
MESSAGES = 60
DEADLINE = 60


class Sockets:
    """The consumers of all sockets; what they see is checked while they run."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seen: dict[str, list[int]] = {}
        self.running: Counter[str] = Counter()
        self.overlaps = 0
        self.lost_updates = 0
        self.left = SOCKETS
        self.done = threading.Event()

    @channel_session
    @enforce_ordering
    def consume(self, message: Message) -> None:
        name, order = message.reply_channel.name, message["order"]
        with self.lock:
            self.running[name] += 1
            self.overlaps += self.running[name] > 1
        self.lost_updates += message.channel_session.get("count", 0) != order
        message.channel_session["count"] = order + 1
        Channel(name).send({"text": str(order)})
        with self.lock:
            self.seen.setdefault(name, []).append(order)
            self.running[name] -= 1

    @enforce_ordering
    def disconnect(self, message: Message) -> None:
        self.consume(message)
        with self.lock:
            self.left -= 1
            if self.left == 0:
                self.done.set()


def names() -> list[str]:
    return [f"websocket.send.p!socket{number}" for number in range(SOCKETS)]


def content_of(name: str, order: int) -> dict[str, Any]:
    return {"reply_channel": name, "order": order}


@pytest.mark.usefixtures("file_sessions", "layer")
@pytest.mark.parametrize("shuffled", [False, True])
def test_many_workers_keep_every_socket_in_order(
    layer: ChannelLayerWrapper, shuffled: bool
) -> None:
    layer.channel_layer = InMemoryChannelLayer(capacity=10_000)
    sockets = Sockets()
    layer.router.add_route(route("websocket.receive", sockets.consume))
    layer.router.add_route(route("websocket.disconnect", sockets.disconnect))
    backlog = [(name, order) for order in range(MESSAGES) for name in names()]
    if shuffled:
        random.Random(1).shuffle(backlog)
    with workers(layer, WORKERS):
        for name, order in backlog:
            Channel("websocket.receive").send(content_of(name, order))
        for name in names():
            Channel("websocket.disconnect").send(content_of(name, MESSAGES))
        assert sockets.done.wait(DEADLINE), sockets.seen
    assert sockets.seen == {name: list(range(MESSAGES + 1)) for name in names()}
    assert (sockets.overlaps, sockets.lost_updates) == (0, 0)
    replies = drain_process()
    assert replies == {name: [str(n) for n in range(MESSAGES + 1)] for name in names()}
    for name in names():
        assert drain(wait_channel_name(name)) == []
        assert not row_exists(name)


def drain_process() -> dict[str, list[str]]:
    replies: dict[str, list[str]] = {}
    while True:
        name, content = channel_layers["default"].receive(["websocket.send.p!"])
        if content is None:
            return replies
        replies.setdefault(name, []).append(content["text"])
