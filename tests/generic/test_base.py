# ruff: noqa: RUF012 - consumers are written as projects write them
from __future__ import annotations

import copy
from typing import Any

import pytest

from channels import route, route_class
from channels.generic import BaseConsumer
from channels.generic.base import BaseConsumer as SameBaseConsumer
from channels.message import Message
from channels.routing import Router

from .sockets import Socket

# Database connections are looked after around every consumer.
pytestmark = pytest.mark.django_db


class Recorder(BaseConsumer):
    """Keeps on the instance what its methods were called with."""

    method_mapping = {"test.one": "one", "test.two": "two"}
    calls: list[Any]

    def __init__(self, message: Message, **kwargs: Any) -> None:
        self.calls = []
        super().__init__(message, **kwargs)

    def one(self, message: Message, **kwargs: Any) -> str:
        self.calls.append(("one", message, kwargs))
        return "the result of one"

    def two(self, message: Message, **kwargs: Any) -> None:
        self.calls.append(("two", message, kwargs))


def message_on(channel: str | None, **content: Any) -> Message:
    return Message({"reply_channel": "test.reply!x", **content}, channel, None)


def test_base_consumer_is_found_at_both_paths() -> None:
    assert BaseConsumer is SameBaseConsumer


def test_calling_the_class_runs_the_method_of_the_channel_and_gives_the_instance() -> None:
    message = message_on("test.two")

    consumer = Recorder(message, room="lobby")

    assert consumer.calls == [("two", message, {"room": "lobby"})]
    assert consumer.message is message
    assert consumer.kwargs == {"room": "lobby"}


def test_dispatch_returns_what_the_method_returns() -> None:
    consumer = Recorder(message_on("test.two"))

    assert consumer.dispatch(message_on("test.one")) == "the result of one"


@pytest.mark.parametrize("channel", ["test.three", None])
def test_a_message_on_a_channel_without_a_method_is_an_error_that_says_so(
    channel: str | None,
) -> None:
    with pytest.raises(ValueError, match=f"Recorder has no method for messages on {channel}.*one"):
        Recorder(message_on(channel))


def test_channel_names_are_those_of_the_mapping() -> None:
    assert Recorder.channel_names() == {"test.one", "test.two"}


def test_as_route_without_attributes_routes_the_class_itself() -> None:
    for a_route in (Recorder.as_route(), Recorder.as_route(attrs={}), route_class(Recorder)):
        assert a_route.consumer is Recorder
        assert a_route.channel_names() == {"test.one", "test.two"}


def test_as_route_takes_filters() -> None:
    router = Router([Recorder.as_route(path=r"^/(?P<room>\w+)/$")])

    assert router.match(message_on("test.one", path="/lobby/")) == (Recorder, {"room": "lobby"})
    assert router.match(message_on("test.one", path="/")) is None


def test_as_route_with_attributes_routes_a_subclass_and_leaves_the_class_alone() -> None:
    before = dict(vars(Recorder))

    def other(self: Recorder, message: Message) -> None:
        self.calls.append("other")

    a_route = Recorder.as_route({"method_mapping": {"test.other": "other"}, "other": other})

    routed: Any = a_route.consumer
    assert routed is not Recorder
    assert issubclass(routed, Recorder)
    assert (routed.__name__, routed.__module__) == ("Recorder", __name__)
    assert a_route.channel_names() == {"test.other"}
    assert routed(message_on("test.other")).calls == ["other"]
    assert dict(vars(Recorder)) == before


def test_as_route_refuses_attributes_that_are_no_dict() -> None:
    with pytest.raises(TypeError, match="attrs as a dict"):
        Recorder.as_route([("one", 1)])  # type: ignore[arg-type]


def test_a_metaclass_of_the_consumer_is_that_of_its_routed_subclass_too() -> None:
    class Meta(type):
        made: list[str] = []

        def __init__(cls, name: str, bases: Any, body: Any) -> None:
            super().__init__(name, bases, body)
            Meta.made.append(name)

    class Made(Recorder, metaclass=Meta):
        pass

    Made.as_route({"channel_session": True})

    assert Meta.made == ["Made", "Made"]


def test_a_consumer_class_works_in_a_plain_route() -> None:
    router = Router([route("test.one", Recorder)])
    message = message_on("test.one")

    match = router.match(message)

    assert match is not None
    assert match[0](message, **match[1]).calls[0][0] == "one"


@pytest.mark.parametrize(
    ("attribute", "has_user"), [("channel_session", False), ("channel_session_user", True)]
)
def test_attributes_give_the_method_a_session_and_a_user(
    layer: Any, attribute: str, has_user: bool
) -> None:
    seen = []

    class Consumer(BaseConsumer):
        method_mapping = {"websocket.connect": "connect"}

        def connect(self, message: Message) -> None:
            seen.append(message)
            message.channel_session["seen"] = True  # type: ignore[attr-defined]

    setattr(Consumer, attribute, True)
    Socket(layer, Consumer).connect()
    Socket(layer, Consumer).connect()

    assert [dict(m.channel_session).get("seen") for m in seen] == [True, True]  # type: ignore[attr-defined]
    assert [hasattr(message, "user") for message in seen] == [has_user, has_user]


def test_without_attributes_there_is_neither_session_nor_user() -> None:
    consumer = Recorder(message_on("test.one"))

    assert not hasattr(consumer.message, "channel_session")
    assert not hasattr(consumer.message, "user")


def test_running_a_consumer_leaves_its_class_as_it_was() -> None:
    before = copy.copy(dict(vars(Recorder)))

    Recorder(message_on("test.one"))

    assert dict(vars(Recorder)) == before
