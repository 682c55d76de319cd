# ruff: noqa: RUF012 - consumers are written as projects write them
from __future__ import annotations

import datetime
import json
import uuid
from typing import Any

import pytest

from channels import Channel
from channels.exceptions import ConsumeLater, DenyConnection, SendNotAvailableOnDemultiplexer
from channels.generic.websockets import (
    JsonWebsocketConsumer,
    WebsocketConsumer,
    WebsocketDemultiplexer,
    WebsocketMultiplexer,
)
from channels.message import Message

from .sockets import Socket, members

# Database connections are looked after around every consumer.
pytestmark = pytest.mark.django_db


class Answering(JsonWebsocketConsumer):
    """Answers everything on its stream."""

    def connect(self, message: Message, multiplexer: Any = None, **kwargs: Any) -> None:
        multiplexer.send({"connected": kwargs})

    def receive(self, content: Any, multiplexer: Any = None, **kwargs: Any) -> None:
        multiplexer.send({"received": content, **kwargs})

    def disconnect(self, message: Message, multiplexer: Any = None, **kwargs: Any) -> None:
        multiplexer.send({"disconnected": message["code"]})


class Both(WebsocketDemultiplexer):
    consumers = {"one": Answering, "two": Answering}


def test_connect_accepts_and_reaches_every_consumer(layer: Any) -> None:
    socket = Socket(layer, Both, room="lobby")

    socket.connect()

    accept, *frames = socket.replies()
    assert accept == {"accept": True}
    assert [json.loads(frame["text"]) for frame in frames] == [
        {"stream": "one", "payload": {"connected": {"room": "lobby"}}},
        {"stream": "two", "payload": {"connected": {"room": "lobby"}}},
    ]


def test_frames_reach_the_consumer_of_their_stream_alone(layer: Any) -> None:
    socket = Socket(layer, Both, room="lobby")

    socket.ask("two", a=1)

    assert socket.frames() == [
        {"stream": "two", "payload": {"received": {"a": 1}, "room": "lobby"}}
    ]


def test_disconnect_reaches_every_consumer(layer: Any) -> None:
    socket = Socket(layer, Both)

    socket.disconnect(code=1001)

    assert socket.frames() == [
        {"stream": "one", "payload": {"disconnected": 1001}},
        {"stream": "two", "payload": {"disconnected": 1001}},
    ]


def test_disconnect_reaches_every_consumer_also_when_some_fail(
    layer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(message: Message, multiplexer: Any) -> None:
        raise KeyError(multiplexer.stream)

    class Failing(WebsocketDemultiplexer):
        consumers = {"bad": failing, "worse": failing, "good": Answering}

    socket = Socket(layer, Failing)
    with pytest.raises(KeyError, match="bad"):
        socket.disconnect()

    assert [frame["stream"] for frame in socket.frames()] == ["good"]
    assert ["worse" in record.getMessage() for record in caplog.records] == [True]


def test_a_refusal_by_a_consumer_gets_through(layer: Any) -> None:
    def refusing(message: Message, multiplexer: Any) -> None:
        raise DenyConnection

    class Refusing(WebsocketDemultiplexer):
        consumers = {"one": refusing}

    with pytest.raises(DenyConnection):
        Socket(layer, Refusing).connect()


@pytest.mark.parametrize(
    "frame",
    [
        [],
        "text",
        None,
        5,
        {},
        {"stream": "one"},
        {"payload": {}},
        {"stream": "three", "payload": {}},
        {"stream": None, "payload": {}},
        {"stream": ["one"], "payload": {}},
        {"stream": {"one": 1}, "payload": {}},
        {"stream": "one", "payload": None},
        {"stream": "one", "payload": []},
        {"stream": "one", "payload": "text"},
    ],
)
def test_malformed_frames_are_value_errors(layer: Any, frame: Any) -> None:
    socket = Socket(layer, Both)

    with pytest.raises(ValueError, match=r"frame|no consumer for the stream"):
        socket.receive_json(frame)

    assert socket.replies() == []


def test_errors_about_frames_do_not_repeat_large_frames(layer: Any) -> None:
    with pytest.raises(ValueError, match="no consumer") as caught:
        Socket(layer, Both).ask("x" * 100_000)
    assert len(str(caught.value)) < 300


def test_plain_callables_get_the_payload_as_their_text(layer: Any) -> None:
    seen = []

    def plain(message: Message, multiplexer: WebsocketMultiplexer, **kwargs: Any) -> None:
        seen.append((message.channel.name, message.get("text")))  # type: ignore[union-attr]

    class Plain(WebsocketDemultiplexer):
        consumers = {"plain": plain}

    socket = Socket(layer, Plain)
    socket.connect()
    socket.ask("plain", a=[1])
    socket.disconnect()

    assert seen == [
        ("websocket.connect", None),
        ("websocket.receive", '{"a": [1]}'),
        ("websocket.disconnect", None),
    ]


def test_the_frame_survives_in_the_message_so_that_it_can_be_put_back(layer: Any) -> None:
    def later(message: Message, multiplexer: Any) -> None:
        raise ConsumeLater

    class Later(WebsocketDemultiplexer):
        consumers = {"later": later}

    frame = json.dumps({"stream": "later", "payload": {"a": 1}})
    message = Socket(layer, Later).message("websocket.receive", text=frame)
    with pytest.raises(ConsumeLater):
        Later(message)

    assert message["text"] == frame


def test_what_is_attached_to_the_message_reaches_the_consumer(layer: Any) -> None:
    seen = []

    class Attaching(WebsocketDemultiplexer):
        consumers = {"one": lambda message, multiplexer: seen.append(message.user)}

        def receive(self, content: Any, **kwargs: Any) -> None:
            self.message.user = "somebody"  # type: ignore[attr-defined]
            super().receive(content, **kwargs)

    Socket(layer, Attaching).ask("one")

    assert seen == ["somebody"]


class Sending(JsonWebsocketConsumer):
    """Sends by itself, which only works outside a demultiplexer."""

    def connect(self, message: Message, **kwargs: Any) -> None:
        self.send({"from": "connect"})

    def receive(self, content: Any, **kwargs: Any) -> None:
        self.send({"from": "receive"})

    def disconnect(self, message: Message, **kwargs: Any) -> None:
        self.send({"from": "disconnect"})


class PlainSending(WebsocketConsumer):
    def connect(self, message: Message, **kwargs: Any) -> None:
        self.send(text="x")


@pytest.mark.parametrize("consumer", [Sending, PlainSending])
def test_consumers_cannot_send_by_themselves_within_a_demultiplexer(
    layer: Any, consumer: Any
) -> None:
    class Demultiplexer(WebsocketDemultiplexer):
        consumers = {"one": consumer}

    with pytest.raises(SendNotAvailableOnDemultiplexer, match="multiplexer"):
        Socket(layer, Demultiplexer).connect()


def test_a_class_used_in_a_demultiplexer_still_works_outside(layer: Any) -> None:
    class Demultiplexer(WebsocketDemultiplexer):
        consumers = {"one": Sending}

    before = dict(vars(Sending))
    inside, outside = Socket(layer, Demultiplexer), Socket(layer, Sending)
    for call in (inside.connect, lambda: inside.ask("one"), inside.disconnect):
        with pytest.raises(SendNotAvailableOnDemultiplexer):
            call()
    inside.replies()

    outside.connect()
    outside.receive_json({})
    outside.disconnect()

    assert [frame["from"] for frame in outside.frames()] == ["connect", "receive", "disconnect"]
    assert dict(vars(Sending)) == before


def test_a_demultiplexer_cannot_send_itself(layer: Any) -> None:
    demultiplexer = Socket(layer, Both).connect()

    for call in (
        lambda: demultiplexer.send({"a": 1}),
        lambda: demultiplexer.send(text="a"),
        lambda: demultiplexer.group_send("all", "one", {"a": 1}),
        lambda: Both.group_send("all", stream="one", payload={}),
    ):
        with pytest.raises(SendNotAvailableOnDemultiplexer, match="multiplexer"):
            call()


def test_closing_works_within_a_demultiplexer_and_on_it(layer: Any) -> None:
    class Closing(JsonWebsocketConsumer):
        def receive(self, content: Any, **kwargs: Any) -> None:
            self.close(4001)

    class Demultiplexer(WebsocketDemultiplexer):
        consumers = {"one": Closing}

        def disconnect(self, message: Message, **kwargs: Any) -> None:
            self.close()

    socket = Socket(layer, Demultiplexer)
    socket.ask("one")
    socket.disconnect()

    assert socket.replies() == [{"close": 4001}, {"close": True}]


def test_connect_and_disconnect_can_be_overridden_and_continued(layer: Any) -> None:
    seen = []

    class Overriding(Both):
        def connect(self, message: Message, **kwargs: Any) -> None:
            seen.append("before")
            super().connect(message, **kwargs)
            seen.append("after")

        def disconnect(self, message: Message, **kwargs: Any) -> None:
            super().disconnect(message, **kwargs)
            seen.append("closed")

    socket = Socket(layer, Overriding)
    socket.connect()
    socket.disconnect()

    assert seen == ["before", "after", "closed"]
    assert [frame["stream"] for frame in socket.frames()] == ["one", "two", "one", "two"]


def test_a_demultiplexer_has_groups_and_so_have_its_consumers(layer: Any) -> None:
    class Member(JsonWebsocketConsumer):
        groups = ["inner"]

    class Demultiplexer(WebsocketDemultiplexer):
        groups = ["outer"]
        consumers = {"one": Member}

    socket = Socket(layer, Demultiplexer)
    socket.connect()
    assert (members(layer, "outer"), members(layer, "inner")) == ([socket.channel],) * 2
    socket.disconnect()
    assert (members(layer, "outer"), members(layer, "inner")) == ([], [])


def test_the_multiplexer_class_can_be_replaced(layer: Any) -> None:
    class Lower(WebsocketMultiplexer):
        @classmethod
        def encode_json(cls, content: Any) -> str:
            return super().encode_json(content).lower()

    class Demultiplexer(Both):
        multiplexer_class = Lower

    socket = Socket(layer, Demultiplexer)
    socket.ask("one", A="B")

    assert socket.frames() == [{"stream": "one", "payload": {"received": {"a": "b"}}}]


def test_a_demultiplexer_within_a_demultiplexer(layer: Any) -> None:
    class Outer(WebsocketDemultiplexer):
        consumers = {"outer": Both}

    socket = Socket(layer, Outer)
    socket.ask("outer", stream="one", payload={"a": 1})

    assert socket.frames() == [{"stream": "one", "payload": {"received": {"a": 1}}}]


def test_as_route_with_attributes_gives_a_demultiplexer_its_consumers(layer: Any) -> None:
    route = WebsocketDemultiplexer.as_route(attrs={"consumers": {"x": Answering}}, path="^/")

    socket = Socket(layer, route.consumer)
    socket.ask("x")

    assert socket.frames() == [{"stream": "x", "payload": {"received": {}}}]
    assert WebsocketDemultiplexer.consumers == {}


def test_multiplexer_sends_to_its_socket(layer: Any) -> None:
    socket = Socket(layer, None)
    multiplexer = WebsocketMultiplexer("one", Channel(socket.channel))

    multiplexer.send({"a": 1})

    assert (multiplexer.stream, multiplexer.reply_channel.name) == ("one", socket.channel)
    assert repr(multiplexer) == f"<WebsocketMultiplexer one on {socket.channel}>"
    assert socket.frames() == [{"stream": "one", "payload": {"a": 1}}]


def test_multiplexer_encodes_what_models_hold() -> None:
    key = uuid.uuid4()

    message = WebsocketMultiplexer.encode("one", {"key": key, "day": datetime.date(2020, 1, 2)})

    assert list(message) == ["text"]
    assert json.loads(message["text"]) == {
        "stream": "one",
        "payload": {"key": str(key), "day": "2020-01-02"},
    }


def test_multiplexer_group_send_reaches_the_members_and_can_close(layer: Any) -> None:
    class Member(WebsocketConsumer):
        groups = ["all"]

    sockets = [Socket(layer, Member, name) for name in ("a", "b")]
    for socket in sockets:
        socket.connect()

    WebsocketMultiplexer.group_send("all", "one", {"n": 1})
    WebsocketMultiplexer.group_send("all", "one", {"n": 2}, close=4000)

    first, second, third, *rest = [layer.receive(["websocket.send.test!"]) for _ in range(6)]
    assert [content for _, content in (first, second)] == [{"accept": True}] * 2
    assert {name for name, _ in (third, rest[0])} == {socket.channel for socket in sockets}
    assert "close" not in third[1]
    assert [content["close"] for _, content in rest[1:]] == [4000, 4000]
    assert json.loads(rest[1][1]["text"]) == {"stream": "one", "payload": {"n": 2}}
