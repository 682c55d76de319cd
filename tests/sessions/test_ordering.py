"""``enforce_ordering``: the messages of a socket, one after the other."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest

from channels import Channel, channel_layers
from channels.asgi import ChannelLayerWrapper
from channels.exceptions import ConsumeLater
from channels.layers import InMemoryChannelLayer
from channels.lifecycle import run_consumer
from channels.message import Message
from channels.sessions import (
    channel_session,
    enforce_ordering,
    requeue_messages,
    session_for_reply_channel,
    wait_channel_name,
)
from channels.sessions import parking as parking_module
from channels.worker import Worker

from .tools import REPLY_CHANNEL, drain, socket_message, stored, workers

WAIT_CHANNEL = "__wait__.websocket.send.process?socket"

pytestmark = pytest.mark.usefixtures("file_sessions", "layer")


class Recorder:
    """A consumer that runs in order and remembers what it has run on."""

    def __init__(self) -> None:
        self.orders: list[int] = []

    def __call__(self, *orders: int) -> list[int]:
        for order in orders:
            self.consume(socket_message(order=order))
        return self.orders

    @enforce_ordering
    def consume(self, message: Message) -> int:
        self.orders.append(message["order"])
        return int(message["order"])


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def parked_orders() -> list[int]:
    return [content["order"] for content in drain(WAIT_CHANNEL)]


def queued_orders(channel: str = "websocket.receive") -> list[int]:
    return [content["order"] for content in drain(channel)]


def test_messages_in_order_run_at_once(recorder: Recorder) -> None:
    assert recorder(0, 1, 2) == [0, 1, 2]
    assert stored() == {"__channels_next_order": 3}


def test_the_result_of_the_consumer_is_returned(recorder: Recorder) -> None:
    assert recorder.consume(socket_message(order=0)) == 0


def test_an_early_message_is_parked_with_its_channel(recorder: Recorder) -> None:
    assert recorder(0, 2) == [0]
    assert drain(WAIT_CHANNEL) == [
        {"reply_channel": REPLY_CHANNEL, "order": 2, "original_channel": "websocket.receive"}
    ]


def test_a_parked_message_goes_to_the_end_of_its_channel_when_it_is_its_turn(
    recorder: Recorder,
) -> None:
    Channel("websocket.receive").send({"order": 7})
    recorder(0, 2)
    assert queued_orders() == [7]
    Channel("websocket.receive").send({"order": 7})
    assert recorder(1) == [0, 1]
    assert queued_orders() == [7, 2]
    assert parked_orders() == []


def test_a_parked_message_goes_back_to_the_channel_it_came_from(recorder: Recorder) -> None:
    recorder.consume(socket_message("websocket.disconnect", order=1))
    recorder(0)
    assert queued_orders("websocket.disconnect") == [1]


def test_a_message_whose_turn_comes_while_it_is_parked_is_released(recorder: Recorder) -> None:
    recorder(0, 3)
    message = socket_message(order=2)

    @enforce_ordering
    def late_reader(message: Message) -> None:
        raise AssertionError("it is not the turn that it found")

    # What a worker sees that opened the session before the message of order 1 was consumed.
    message.channel_session = session_for_reply_channel(REPLY_CHANNEL)
    assert message.channel_session["__channels_next_order"] == 1
    recorder(1)
    late_reader(message)
    assert queued_orders() == [2, 3]
    assert parked_orders() == []


def test_what_waits_longer_stays_parked_in_order(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parking_module, "FEW", 1)
    recorder(5, 4, 3, 1, 2, 0)
    assert queued_orders() == [1]
    recorder(1)
    assert queued_orders() == [2]
    assert parked_orders() == [3, 4, 5]


def test_a_turn_that_comes_while_messages_are_parked_again_is_seen(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parking_module, "FEW", 0)
    recorder(0, 3, 2)
    session = session_for_reply_channel(REPLY_CHANNEL)
    session["__channels_next_order"] = 3
    session.save()
    parking_module.release(socket_message(), 2)
    assert queued_orders() == [2, 3]


def test_requeue_messages_releases_what_is_due(recorder: Recorder) -> None:
    recorder(0, 2)
    session = session_for_reply_channel(REPLY_CHANNEL)
    session["__channels_next_order"] = 2
    session.save()
    requeue_messages(socket_message())
    assert queued_orders() == [2]


@pytest.mark.parametrize("error", [KeyError, SystemExit])
def test_the_order_advances_when_the_consumer_raises(
    recorder: Recorder, error: type[BaseException]
) -> None:
    @enforce_ordering
    def broken(message: Message) -> None:
        raise error

    with pytest.raises(error):
        broken(socket_message(order=0))
    assert recorder(1) == [1]


def test_the_order_does_not_advance_when_the_message_is_to_be_consumed_later(
    recorder: Recorder,
) -> None:
    @enforce_ordering
    def later(message: Message) -> None:
        raise ConsumeLater

    with pytest.raises(ConsumeLater):
        later(socket_message(order=0))
    assert recorder(1) == []
    assert recorder(0) == [0]


@pytest.mark.django_db  # running a consumer recycles connections
def test_the_order_advances_when_a_message_is_put_back_too_often(recorder: Recorder) -> None:
    @enforce_ordering
    def never(message: Message) -> None:
        raise ConsumeLater

    layer = channel_layers["default"]
    layer.router.add_route(RouteTo("websocket.receive", never))
    Channel("websocket.receive").send({"reply_channel": REPLY_CHANNEL, "order": 0})
    Once(layer, message_retries=1).run()
    assert stored() == {}
    Once(layer, message_retries=1).run()
    assert recorder(1) == [1]


class Once(Worker):
    """A worker that takes one message."""

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(layer, signal_handlers=False, **kwargs)

    def _handle(self, name: str, content: Any) -> None:
        super()._handle(name, content)
        self.termed = True


class RouteTo:
    def __init__(self, channel: str, consumer: Any) -> None:
        self.channel, self.consumer = channel, consumer

    def channel_names(self) -> set[str]:
        return {self.channel}

    def match(self, message: Message) -> Any:
        return self.consumer, {}


@pytest.mark.django_db  # running a consumer recycles connections
def test_what_a_consumer_sends_leaves_before_the_next_one_may_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []
    release = parking_module.release

    def look_and_release(message: Message, turn: int) -> None:
        seen.extend(content["n"] for content in drain("replies"))
        release(message, turn)

    monkeypatch.setattr("channels.sessions.ordering.release", look_and_release)

    @enforce_ordering
    def consumer(message: Message) -> None:
        Channel("replies").send({"n": 1})
        Channel("replies").send({"n": 2})

    run_consumer(consumer, socket_message(order=0), {}, sender=Worker)
    assert seen == [1, 2]
    assert drain("replies") == []


def test_data_and_order_are_saved_together(recorder: Recorder) -> None:
    @enforce_ordering
    def consumer(message: Message) -> None:
        message.channel_session["a"] = 1

    consumer(socket_message(order=0))
    assert stored() == {"a": 1, "__channels_next_order": 1}


def test_logging_out_does_not_stop_the_socket(recorder: Recorder) -> None:
    @enforce_ordering
    def logout(message: Message) -> None:
        message.channel_session.flush()

    recorder(0)
    logout(socket_message(order=1))
    assert recorder(2) == [0, 2]


def test_an_early_message_writes_nothing_to_the_session(recorder: Recorder) -> None:
    recorder(0)
    message = socket_message(order=2)
    message.channel_session = session_for_reply_channel(REPLY_CHANNEL)
    message.channel_session["a"] = "written before its turn"
    recorder(1)
    channel_session(recorder.consume)(message)
    assert stored() == {"__channels_next_order": 2}


def test_a_row_that_was_removed_meanwhile_does_not_stop_the_socket(recorder: Recorder) -> None:
    @enforce_ordering
    def consumer(message: Message) -> None:
        session_for_reply_channel(REPLY_CHANNEL).delete()

    recorder(0)
    consumer(socket_message(order=1))
    assert recorder(2) == [0, 2]


def test_several_ordered_consumers_may_get_the_same_message(recorder: Recorder) -> None:
    message = socket_message(order=0)
    recorder.consume(message)
    recorder.consume(copy.copy(message))
    assert recorder(1) == [0, 0, 1]


@pytest.mark.parametrize("decorate", [enforce_ordering, enforce_ordering(), channel_session])
def test_decorators_repeat_and_stack(recorder: Recorder, decorate: Any) -> None:
    consume = decorate(recorder.consume)
    for order in (0, 1, 2):
        consume(socket_message(order=order))
    assert recorder.orders == [0, 1, 2]
    assert stored() == {"__channels_next_order": 3}


def test_slight_ordering_is_refused() -> None:
    with pytest.raises(ValueError, match="always on"):
        enforce_ordering(slight=True)


@pytest.mark.parametrize(
    "content",
    [{}, {"order": None}, {"order": "1"}, {"order": True}, {"order": -1}, {"order": 2**63}],
)
def test_a_message_without_an_order_is_refused(
    recorder: Recorder, content: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="needs an 'order'"):
        recorder.consume(socket_message(**content))


def test_an_early_message_needs_a_channel_to_go_back_to(recorder: Recorder) -> None:
    with pytest.raises(ValueError, match="no channel to go back to"):
        recorder.consume(Message({"reply_channel": REPLY_CHANNEL, "order": 1}, None, None))


@pytest.mark.parametrize(
    ("reply_channel", "expected"),
    [
        (REPLY_CHANNEL, WAIT_CHANNEL),
        ("test-reply", "__wait__.test-reply"),
        ("a.b_c?d-e", "__wait__.a.b_c?d-e"),
        ("x" * 90, "__wait__." + "x" * 90),
    ],
)
def test_the_wait_channel_is_named_after_the_reply_channel(
    reply_channel: str, expected: str
) -> None:
    assert wait_channel_name(reply_channel) == expected


def test_a_long_reply_channel_has_a_wait_channel_too(recorder: Recorder) -> None:
    name = "x" * 97 + "!a"
    recorder.consume(Message({"reply_channel": name, "order": 1}, "c", channel_layers["default"]))
    assert wait_channel_name(name) != wait_channel_name(name + "b")
    assert [content["order"] for content in drain(wait_channel_name(name))] == [1]


def test_a_full_wait_channel_makes_the_message_come_later(
    recorder: Recorder, layer: ChannelLayerWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parking_module, "PARKING_TIME", 0)
    layer.channel_layer = InMemoryChannelLayer(channel_capacity={"__wait__.*": 1})
    recorder(2)
    with pytest.raises(ConsumeLater):
        recorder(3)
    assert recorder(0, 1) == [0, 1]
    assert queued_orders() == [2]


def test_a_full_channel_loses_a_released_message_with_an_error(
    recorder: Recorder,
    layer: ChannelLayerWrapper,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(parking_module, "RETRY_TIME", 0)
    layer.channel_layer = InMemoryChannelLayer(channel_capacity={"websocket.receive": 1})
    Channel("websocket.receive").send({})
    recorder(1, 0)
    assert "A message that waited for its turn is lost" in caplog.text


def test_workers_serve_a_reversed_queue_in_order(
    recorder: Recorder, layer: ChannelLayerWrapper
) -> None:
    done = threading.Event()

    @enforce_ordering
    def consumer(message: Message) -> None:
        recorder.orders.append(message["order"])
        if message["order"] == 39:
            done.set()

    layer.router.add_route(RouteTo("websocket.receive", consumer))
    for order in reversed(range(40)):
        Channel("websocket.receive").send({"reply_channel": REPLY_CHANNEL, "order": order})
    with workers(layer, 4):
        assert done.wait(30)
    assert recorder.orders == list(range(40))
