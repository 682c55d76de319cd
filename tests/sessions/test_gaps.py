"""A message that never comes does not stop its socket for ever."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from channels.asgi import ChannelLayerWrapper
from channels.message import Message
from channels.sessions import enforce_ordering, gaps, session_for_reply_channel

from .tools import REPLY_CHANNEL, at_once, drain, row_exists, socket_message, stored

WAIT_CHANNEL = "__wait__.websocket.send.process?socket"

pytestmark = pytest.mark.usefixtures("file_sessions", "layer")


class Clock:
    """The time that gaps are measured with; everything else keeps the real one."""

    def __init__(self) -> None:
        self.now = time.time()

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(gaps, "time", clock)
    return clock


@enforce_ordering
def consume(message: Message) -> str:
    return "consumed"


def arrive(order: int) -> Any:
    return consume(socket_message(order=order))


def queued_orders() -> list[int]:
    return [content["order"] for content in drain("websocket.receive")]


def test_a_gap_that_is_not_filled_is_passed_over(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    arrive(0)
    arrive(3)
    clock.now += 61
    arrive(4)
    assert queued_orders() == [3]
    assert "Messages 1 to 2 of websocket.send.process!socket are lost" in caplog.text
    assert arrive(3) == "consumed"
    assert queued_orders() == [4]


def test_a_gap_is_given_the_expiry_of_the_layer(clock: Clock, layer: ChannelLayerWrapper) -> None:
    layer.channel_layer.expiry = 5
    arrive(0)
    arrive(2)
    clock.now += 4
    arrive(3)
    assert queued_orders() == []
    clock.now += 2
    arrive(4)
    assert queued_orders() == [2]


def test_a_layer_that_does_not_know_its_expiry_has_the_usual_one(
    clock: Clock, layer: ChannelLayerWrapper
) -> None:
    del layer.channel_layer.expiry
    assert gaps.expiry_of(socket_message()) == 60


def test_every_gap_has_its_own_time(clock: Clock) -> None:
    arrive(2)
    clock.now += 59
    arrive(0)
    arrive(3)
    clock.now += 59
    arrive(4)
    assert queued_orders() == []
    assert arrive(1) == "consumed"


def test_an_early_message_after_a_long_silence_is_no_gap(clock: Clock) -> None:
    arrive(0)
    clock.now += 3600
    arrive(2)
    assert queued_orders() == []
    assert arrive(1) == "consumed"
    assert queued_orders() == [2]


def test_a_gap_is_passed_over_when_all_before_it_has_expired_too(clock: Clock) -> None:
    arrive(2)
    drain(WAIT_CHANNEL)
    clock.now += 120
    arrive(5)
    assert queued_orders() == [5]


def test_a_message_that_was_given_up_is_dropped_when_it_comes(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    arrive(1)
    clock.now += 61
    arrive(2)
    assert arrive(0) is None
    assert "Message 0 of websocket.send.process!socket is dropped" in caplog.text


def test_the_turn_is_not_lost_when_its_message_was_parked_all_along(clock: Clock) -> None:
    arrive(1)
    session = session_for_reply_channel(REPLY_CHANNEL)
    session["__channels_next_order"] = 1  # and its worker died before it could release 1
    session.save()
    arrive(2)
    clock.now += 61
    arrive(3)
    assert queued_orders() == [1]
    assert stored()["__channels_next_order"] == 1


def test_nothing_is_passed_over_when_nothing_is_parked(clock: Clock) -> None:
    arrive(1)
    drain(WAIT_CHANNEL)
    clock.now += 61
    gaps.pass_over_if_lost(socket_message(), 0)
    assert stored() == {}


def test_nothing_is_passed_over_when_the_turn_has_come_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def come_meanwhile(message: Message, turn: int) -> float:
        arrive(0)
        return 0  # so that the gap is long overdue

    monkeypatch.setattr(gaps, "_missing_since", come_meanwhile)
    arrive(2)
    assert stored()["__channels_next_order"] == 1
    assert queued_orders() == []


def test_two_may_find_the_same_gap_at_once(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def find_it_too() -> float:
        gaps.gap_session(REPLY_CHANNEL).create()
        clock.time = lambda: clock.now  # type: ignore[method-assign]
        return clock.now

    clock.time = find_it_too  # type: ignore[method-assign]
    assert gaps._missing_since(socket_message(), 0) == clock.now


def test_one_of_many_workers_passes_over(clock: Clock) -> None:
    arrive(0)
    arrive(5)
    clock.now += 61
    at_once(*[lambda order=order: arrive(order) for order in range(6, 14)])
    arrive(14)  # the last one of those above may have found the door shut
    assert stored()["__channels_next_order"] == 5
    assert queued_orders()[0] == 5


def test_a_worker_that_died_while_it_passed_over_does_not_keep_the_others_out(
    clock: Clock,
) -> None:
    arrive(1)
    lock = session_for_reply_channel("lock:" + REPLY_CHANNEL)
    lock["since"] = clock.now + 60
    lock.create()
    clock.now += 61
    arrive(2)
    assert queued_orders() == []
    clock.now += 61
    arrive(3)
    arrive(4)
    assert queued_orders() == [1]
    assert not row_exists("lock:" + REPLY_CHANNEL)


def test_a_consumer_that_was_overtaken_does_not_set_the_turn_back(
    clock: Clock, layer: ChannelLayerWrapper
) -> None:
    @enforce_ordering
    def slow(message: Message) -> None:
        arrive(1)
        clock.now += 61
        arrive(2)
        assert consume(socket_message(order=1)) == "consumed"
        assert consume(socket_message(order=2)) == "consumed"
        layer.channel_layer.expiry = -1  # however long this took, it was too long

    slow(socket_message(order=0))
    assert stored()["__channels_next_order"] == 3


def test_who_finds_the_same_gap_at_once_agrees(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = at_once(*[lambda order=order: arrive(order) for order in range(1, 9)])
    # Some were to be consumed later, as all of them came before there was a channel session.
    assert {type(error).__name__ for error in errors} <= {"NoneType", "ConsumeLater"}
    assert gaps.gap_session(REPLY_CHANNEL).load() == {"turn": 0, "since": clock.now}
