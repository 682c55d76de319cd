"""A socket whose messages got lost is disconnected all the same, though nothing follows."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from channels import route
from channels.asgi import ChannelLayerWrapper
from channels.layers import InMemoryChannelLayer
from channels.message import Message
from channels.sessions import enforce_ordering
from channels.sessions.gaps import gap_session
from channels.sessions.watch import Vigil, watch
from channels.types import Received
from channels.worker import Worker

from .tools import REPLY_CHANNEL, drain, row_exists, workers

pytestmark = [pytest.mark.usefixtures("file_sessions", "layer"), pytest.mark.django_db]

CHANNELS = ("websocket.connect", "websocket.receive", "websocket.disconnect")


class BriskLayer(InMemoryChannelLayer):
    """Never waits, so that its workers look around often, as its messages live shortly."""

    def receive(self, channels: Iterable[str], block: bool = False) -> Received:
        return super().receive(channels)


class Log:
    """The orders that consumers saw, and when the last one of the socket did."""

    def __init__(self) -> None:
        self.orders: list[int] = []
        self.ended = threading.Event()

    def consumer(self, message: Message) -> None:
        self.orders.append(message["order"])
        if message.channel and message.channel.name == "websocket.disconnect":
            self.ended.set()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def short_lived(
    layer: ChannelLayerWrapper, log: Log, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ChannelLayerWrapper]:
    """A layer whose messages live for seconds, with an ordered consumer and little patience."""
    monkeypatch.setattr("channels.sessions.watch.PATIENCE", 0.2)
    layer.channel_layer = BriskLayer(expiry=4)
    layer.routing = [route(CHANNELS, enforce_ordering(log.consumer))]
    yield layer
    watch.hand_over()


def arrive(layer: ChannelLayerWrapper, *orders: int, last: bool = True) -> None:
    for order in orders:
        name = CHANNELS[2] if last and order == orders[-1] else CHANNELS[min(order, 1)]
        layer.send(name, {"reply_channel": REPLY_CHANNEL, "order": order})


@pytest.mark.parametrize(
    "orders", [(0, 2), (0, 1, 3, 4), (1, 2), (0, 2, 4)], ids=["one", "later", "first", "two gaps"]
)
def test_a_disconnect_behind_a_gap_is_consumed_in_time(
    short_lived: ChannelLayerWrapper, log: Log, orders: tuple[int, ...]
) -> None:
    with workers(short_lived, 2):
        arrive(short_lived, *orders)
        assert log.ended.wait(10)
    assert log.orders == list(orders)
    assert not row_exists()
    assert not gap_session(REPLY_CHANNEL).load()


def test_a_worker_that_ends_hands_over_what_it_watches(
    short_lived: ChannelLayerWrapper, log: Log
) -> None:
    class Brief(Worker):
        """Ends when it has found nothing more to do."""

        def _receive(self, channels: list[str]) -> Any:
            received = short_lived.receive(channels)
            self.termed = received[0] is None
            return received

    arrive(short_lived, 0, 2)
    Brief(short_lived, signal_handlers=False).run()
    assert log.orders == [0]
    [content] = drain("websocket.disconnect")
    assert content["order"] == 2
    short_lived.send("websocket.disconnect", content)
    with workers(short_lived, 1):
        assert log.ended.wait(10)


def test_a_gap_that_was_filled_is_left_alone(short_lived: ChannelLayerWrapper, log: Log) -> None:
    with workers(short_lived, 1):
        arrive(short_lived, 0, 2)
        arrive(short_lived, 1, last=False)
        assert log.ended.wait(10)
    assert log.orders == [0, 1, 2]


def test_an_error_costs_no_other_socket_its_end(
    short_lived: ChannelLayerWrapper, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Message({}, CHANNELS[2], short_lived)
    watch._vigils.append(Vigil(0.0, -1, broken, 0, 1))
    with workers(short_lived, 1):
        arrive(short_lived, 0, 2)
        assert log.ended.wait(10)
    assert "The gap before the end of None stays." in caplog.text


def test_what_is_watched_is_forgotten_when_the_socket_has_ended(
    short_lived: ChannelLayerWrapper, log: Log
) -> None:
    with workers(short_lived, 1):
        arrive(short_lived, 0, 2)
        arrive(short_lived, 1, last=False)
        assert log.ended.wait(10)
        deadline = time.monotonic() + 10
        while len(watch) and time.monotonic() < deadline:
            short_lived.receive(["nothing"], block=True)
        assert len(watch) == 0
    assert not gap_session(REPLY_CHANNEL).load()
