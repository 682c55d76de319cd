# ruff: noqa: RUF012 - consumers are written as projects write them
from __future__ import annotations

import json
from typing import Any

import pytest

from channels import Group
from channels.asgi import ChannelLayerWrapper
from channels.exceptions import ConsumeLater, WebsocketCloseException
from channels.generic.websockets import JsonWebsocketConsumer, WebsocketConsumer
from channels.layers import InMemoryChannelLayer
from channels.message import Message

from .sockets import Socket, members

# Database connections are looked after around every consumer.
pytestmark = pytest.mark.django_db


class Echo(WebsocketConsumer):
    def receive(self, text: str | None = None, bytes: bytes | None = None, **kwargs: Any) -> None:
        self.send(text=text, bytes=bytes)


class JsonEcho(JsonWebsocketConsumer):
    def receive(self, content: Any, **kwargs: Any) -> None:
        self.send({"echo": content, **kwargs})


def test_a_socket_is_accepted_by_default(layer: Any) -> None:
    socket = Socket(layer, WebsocketConsumer)

    socket.connect()

    assert socket.replies() == [{"accept": True}]


def test_frames_and_disconnects_do_nothing_by_default(layer: Any) -> None:
    socket = Socket(layer, WebsocketConsumer)

    socket.receive(text="hello")
    socket.disconnect()

    assert socket.replies() == []


@pytest.mark.parametrize(
    ("frame", "sent"),
    [
        ({"text": "hi"}, {"text": "hi"}),
        ({"bytes": b"hi"}, {"bytes": b"hi"}),
        ({"text": "hi", "bytes": None}, {"text": "hi"}),
        ({"text": None, "bytes": b"hi"}, {"bytes": b"hi"}),
        ({"text": ""}, {"text": ""}),
        ({"bytes": b""}, {"bytes": b""}),
    ],
)
def test_text_and_bytes_reach_receive_and_leave_by_send(
    layer: Any, frame: dict[str, Any], sent: dict[str, Any]
) -> None:
    socket = Socket(layer, Echo)

    socket.receive(**frame)

    assert socket.replies() == [sent]


@pytest.mark.parametrize("frame", [{}, {"text": None}, {"text": None, "bytes": None}])
def test_a_frame_without_text_and_bytes_is_an_error(layer: Any, frame: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="neither text nor bytes"):
        Socket(layer, Echo).receive(**frame)


def test_receive_may_take_text_alone(layer: Any) -> None:
    got = []

    class TextOnly(WebsocketConsumer):
        def receive(self, text: str) -> None:  # type: ignore[override]
            got.append(text)

    Socket(layer, TextOnly).receive(text="hi")

    assert got == ["hi"]


def test_captures_are_keywords_of_every_method(layer: Any) -> None:
    seen = []

    class Room(WebsocketConsumer):
        def connection_groups(self, room: str) -> list[str]:  # type: ignore[override]
            seen.append(("groups", room))
            return []

        def connect(self, message: Message, room: str) -> None:  # type: ignore[override]
            seen.append(("connect", room))

        def receive(self, text: str, room: str) -> None:  # type: ignore[override]
            seen.append(("receive", room))

        def disconnect(self, message: Message, room: str) -> None:  # type: ignore[override]
            seen.append(("disconnect", room))

    socket = Socket(layer, Room, room="lobby")
    socket.connect()
    socket.receive(text="hi")
    socket.disconnect()

    assert seen == [
        ("groups", "lobby"),
        ("connect", "lobby"),
        ("receive", "lobby"),
        ("groups", "lobby"),
        ("disconnect", "lobby"),
    ]


def test_groups_are_joined_before_connect_and_left_before_disconnect(layer: Any) -> None:
    seen = []

    class Member(WebsocketConsumer):
        groups = ["first", "second"]

        def connect(self, message: Message, **kwargs: Any) -> None:
            seen.append((members(layer, "first"), members(layer, "second")))

        def disconnect(self, message: Message, **kwargs: Any) -> None:
            seen.append((members(layer, "first"), members(layer, "second")))

    socket = Socket(layer, Member)
    socket.connect()
    socket.disconnect()

    assert seen == [([socket.channel], [socket.channel]), ([], [])]


def test_groups_are_on_the_layer_that_the_message_came_from(layer: Any) -> None:
    other = ChannelLayerWrapper(InMemoryChannelLayer(), "other", [])

    class Member(WebsocketConsumer):
        groups = ["all"]

    socket = Socket(other, Member)
    socket.connect()

    assert members(other, "all") == [socket.channel]
    assert members(layer, "all") == []


def test_groups_as_one_string_are_refused_rather_than_taken_apart(layer: Any) -> None:
    class Member(WebsocketConsumer):
        groups = "all"

    with pytest.raises(TypeError, match=r"must be a list of names.*\['all'\]"):
        Socket(layer, Member).connect()


def test_the_path_is_there_in_every_method(layer: Any) -> None:
    seen = []

    class Paths(WebsocketConsumer):
        def connect(self, message: Message, **kwargs: Any) -> None:
            seen.append(self.path)

        def receive(self, **kwargs: Any) -> None:
            seen.append(self.path)

    Socket(layer, Paths).connect()
    Socket(layer, Paths).receive(text="x", path="/other/")
    Paths(Message({"reply_channel": "x!y"}, "websocket.connect", layer))

    assert seen == ["/chat/", "/other/", ""]


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ({"text": "a"}, {"text": "a"}),
        ({"text": ""}, {"text": ""}),
        ({"bytes": b"a"}, {"bytes": b"a"}),
        ({"text": "a", "close": True}, {"text": "a", "close": True}),
        ({"bytes": b"a", "close": 4000}, {"bytes": b"a", "close": 4000}),
    ],
)
def test_send_and_group_send_make_the_same_reply(
    layer: Any, arguments: dict[str, Any], sent: dict[str, Any]
) -> None:
    class Sender(WebsocketConsumer):
        groups = ["all"]

        def receive(self, **kwargs: Any) -> None:
            self.send(**arguments)
            self.group_send("all", **arguments)

    socket = Socket(layer, Sender)
    socket.connect()
    socket.receive(text="go")

    assert socket.replies() == [{"accept": True}, sent, sent]


def test_sending_nothing_is_an_error(layer: Any) -> None:
    consumer = Socket(layer, WebsocketConsumer).connect()

    for send in (consumer.send, lambda **keywords: consumer.group_send("all", **keywords)):
        with pytest.raises(ValueError, match="text or bytes"):
            send()
        with pytest.raises(ValueError, match="text or bytes"):
            send(close=True)


@pytest.mark.parametrize(("arguments", "close"), [((), True), ((4001,), 4001)])
def test_close_takes_a_code(layer: Any, arguments: Any, close: Any) -> None:
    class Closer(WebsocketConsumer):
        def connect(self, message: Message, **kwargs: Any) -> None:
            self.close(*arguments)

    socket = Socket(layer, Closer)
    socket.connect()

    assert socket.replies() == [{"close": close}]


def test_close_by_exception(layer: Any) -> None:
    class Closer(WebsocketConsumer):
        def receive(self, **kwargs: Any) -> None:
            raise WebsocketCloseException(4001)

    socket = Socket(layer, Closer)
    socket.receive(text="x")

    assert socket.replies() == [{"close": 4001}]


def test_a_message_without_reply_channel_gets_a_clear_error(layer: Any) -> None:
    with pytest.raises(ValueError, match="no reply_channel"):
        WebsocketConsumer(Message({"path": "/"}, "websocket.connect", layer))


def test_json_frames_are_decoded_and_encoded(layer: Any) -> None:
    socket = Socket(layer, JsonEcho, room="lobby")

    socket.receive_json([1, {"two": None}])

    assert socket.frames() == [{"echo": [1, {"two": None}], "room": "lobby"}]


@pytest.mark.parametrize("frame", [{"bytes": b"{}"}, {"bytes": b"{}", "text": None}, {}])
def test_json_consumers_refuse_frames_without_text(layer: Any, frame: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="without text"):
        Socket(layer, JsonEcho).receive(**frame)


@pytest.mark.parametrize("text", ["", "{", "nonsense", "[" * 100_000, "1" * 5000])
def test_json_consumers_refuse_text_that_is_not_json(layer: Any, text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - from the standard library, mostly
        Socket(layer, JsonEcho).receive(text=text)


def test_json_send_and_group_send_can_close(layer: Any) -> None:
    class Sender(JsonWebsocketConsumer):
        def receive(self, content: Any, **kwargs: Any) -> None:
            Group("all").add(self.message.reply_channel)  # type: ignore[arg-type]
            self.send({"a": 1}, close=True)
            Sender.group_send("all", {"a": 2}, close=4000)
            Sender.group_send("all", {"a": 3})

    socket = Socket(layer, Sender)
    socket.receive_json({})

    replies = [(json.loads(r["text"]), r.get("close")) for r in socket.replies()]
    assert replies == [({"a": 1}, True), ({"a": 2}, 4000), ({"a": 3}, None)]


def test_json_coding_can_be_replaced(layer: Any) -> None:
    class Shouting(JsonEcho):
        @classmethod
        def decode_json(cls, text: str) -> Any:
            return text.upper()

        @classmethod
        def encode_json(cls, content: Any) -> str:
            return f"<{content['echo']}>"

    socket = Socket(layer, Shouting)
    socket.receive(text="hi")

    assert socket.replies() == [{"text": "<HI>"}]


@pytest.mark.parametrize("attribute", ["http_user", "http_user_and_session"])
def test_http_user_gives_a_user_and_a_channel_session(layer: Any, attribute: str) -> None:
    seen = []

    class WithUser(WebsocketConsumer):
        def connect(self, message: Message, **kwargs: Any) -> None:
            seen.append(message)

    setattr(WithUser, attribute, True)
    Socket(layer, WithUser).connect()

    assert seen[0].user.is_anonymous  # type: ignore[attr-defined]
    assert hasattr(seen[0], "channel_session")
    assert hasattr(seen[0], "http_session") or attribute == "http_user"


def test_strict_ordering_runs_messages_in_their_order(layer: Any) -> None:
    seen = []

    class Ordered(WebsocketConsumer):
        strict_ordering = True

        def connect(self, message: Message, **kwargs: Any) -> None:
            seen.append("connect")

        def receive(self, text: str | None = None, **kwargs: Any) -> None:
            seen.append(text)

    socket = Socket(layer, Ordered)
    socket.receive(text="early", order=1)
    assert seen == []
    socket.connect(order=0)
    name, content = layer.receive(["websocket.receive"])
    Ordered(Message(content, name, layer))

    assert seen == ["connect", "early"]


def test_strict_ordering_is_outermost_so_that_a_retry_is_not_out_of_order(layer: Any) -> None:
    tries = []

    class Ordered(WebsocketConsumer):
        strict_ordering = True
        channel_session_user = True

        def connect(self, message: Message, **kwargs: Any) -> None:
            tries.append(message["order"])
            if len(tries) == 1:
                raise ConsumeLater

    socket = Socket(layer, Ordered)
    with pytest.raises(ConsumeLater):
        socket.connect(order=0)
    socket.connect(order=0)

    assert tries == [0, 0]
