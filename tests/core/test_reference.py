"""The reference page, statement by statement."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse

from channels import Channel, Group, channel_layers, route
from channels.asgi import ChannelLayerWrapper
from channels.exceptions import ConsumeLater
from channels.handler import AsgiHandler, AsgiRequest
from channels.layers import InMemoryChannelLayer
from channels.message import Message

from .conftest import MakeLayer
from .tools import REPLY_CHANNEL, drain, problems, request_message, work

Layer = ChannelLayerWrapper


# Consumers


def test_a_consumer_gets_one_positional_argument_the_message(make_layer: MakeLayer) -> None:
    calls: list[Any] = []

    def consumer(*args: Any, **kwargs: Any) -> None:
        calls.append((args, kwargs))

    layer = make_layer([route("a", consumer)])
    Channel("a").send({"k": "v"})
    work(layer)
    [((message,), kwargs)] = calls
    assert isinstance(message, Message)
    assert message.content == {"k": "v"}
    assert kwargs == {}


def test_routing_captures_arrive_as_keyword_arguments(make_layer: MakeLayer) -> None:
    calls: list[Any] = []
    routing = [route("a", lambda message, room: calls.append(room), path=r"^/(?P<room>\w+)$")]
    layer = make_layer(routing)
    Channel("a").send({"path": "/attic"})
    work(layer)
    assert calls == ["attic"]


def test_the_return_value_of_a_consumer_is_ignored(
    make_layer: MakeLayer, caplog: pytest.LogCaptureFixture
) -> None:
    layer = make_layer([route("a", lambda message: object())])
    Channel("a").send({})
    work(layer)
    assert problems(caplog) == []


def test_consume_later_puts_the_message_at_the_back_of_its_channel(make_layer: MakeLayer) -> None:
    seen: list[int] = []

    def consumer(message: Message) -> None:
        seen.append(message["n"])
        if len(seen) == 1:
            raise ConsumeLater

    layer = make_layer([route("a", consumer)])
    for n in (1, 2):
        Channel("a").send({"n": n})
    work(layer, rounds=3)
    assert seen == [1, 2, 1]


@pytest.mark.parametrize(
    ("arguments", "retries"), [({}, 10), ({"message_retries": 2}, 2), ({"message_retries": 0}, 0)]
)
def test_after_so_many_retries_the_message_is_dropped_with_a_warning(
    make_layer: MakeLayer,
    caplog: pytest.LogCaptureFixture,
    arguments: dict[str, int],
    retries: int,
) -> None:
    runs: list[int] = []

    def consumer(message: Message) -> None:
        runs.append(1)
        raise ConsumeLater

    layer = make_layer([route("a", consumer)])
    Channel("a").send({})
    work(layer, rounds=retries + 1, **arguments)
    assert len(runs) == 1 + retries
    assert drain(layer, "a") == []
    [record] = problems(caplog)
    assert record.levelname == "WARNING"
    assert "dropped" in record.getMessage()


# Message


def test_message_content_is_the_dict(layer: Layer) -> None:
    content = {"a": 1}
    assert Message(content, "x", layer).content is content


def test_message_channel_is_the_channel_it_was_received_on(layer: Layer) -> None:
    channel = Message({}, "x", layer).channel
    assert isinstance(channel, Channel)
    assert channel.name == "x"


def test_message_reply_channel_is_a_channel(layer: Layer) -> None:
    reply_channel = Message({"reply_channel": "r!1"}, "x", layer).reply_channel
    assert isinstance(reply_channel, Channel)
    assert reply_channel.name == "r!1"


def test_message_reply_channel_is_none_when_the_content_has_none(layer: Layer) -> None:
    assert Message({}, "x", layer).reply_channel is None
    assert Message({"reply_channel": None}, "x", layer).reply_channel is None


def test_message_channel_layer_is_accepted_by_channel_and_group(layer: Layer) -> None:
    other = ChannelLayerWrapper(InMemoryChannelLayer(), "other", [])
    message = Message({"reply_channel": "r!1"}, "x", other)
    assert message.channel_layer is other
    Group("g", channel_layer=message.channel_layer).add("b")
    Group("g", channel_layer=message.channel_layer).send({"from": "group"})
    Channel("b", channel_layer=message.channel_layer).send({"from": "channel"})
    assert drain(other, "b") == [{"from": "group"}, {"from": "channel"}]
    assert message.reply_channel is not None
    assert message.reply_channel.channel_layer is other


# Channel


def test_channel_signature() -> None:
    parameters = inspect.signature(Channel).parameters
    assert list(parameters) == ["name", "alias", "channel_layer"]
    assert parameters["alias"].default == "default"
    assert parameters["channel_layer"].default is None


def test_channel_name_is_text(layer: Layer) -> None:
    assert Channel("x").name == "x"
    assert Channel(b"x").name == "x"


def test_channel_has_its_channel_layer(layer: Layer) -> None:
    assert Channel("x").channel_layer is layer
    assert Channel("x", "default").channel_layer is layer
    other = InMemoryChannelLayer()
    assert Channel("x", channel_layer=other).channel_layer is other


def test_channel_sends_a_dict(layer: Layer) -> None:
    Channel("x").send({"a": 1})
    assert drain(layer, "x") == [{"a": 1}]


# Group


def test_group_signature() -> None:
    parameters = inspect.signature(Group).parameters
    assert list(parameters) == ["name", "alias", "channel_layer"]
    assert parameters["alias"].default == "default"
    assert parameters["channel_layer"].default is None


def test_group_has_its_name_and_channel_layer(layer: Layer) -> None:
    assert Group("g").name == "g"
    assert Group("g").channel_layer is layer


def test_group_sends_to_every_member(layer: Layer) -> None:
    Group("g").add(Channel("a"))
    Group("g").add("b")
    Group("g").send({"n": 1})
    assert drain(layer, "a") == drain(layer, "b") == [{"n": 1}]


def test_group_add_is_idempotent(layer: Layer) -> None:
    Group("g").add("a")
    Group("g").add(Channel("a"))
    Group("g").send({})
    assert len(drain(layer, "a")) == 1


def test_group_discard_takes_a_channel_or_a_name_and_is_idempotent(layer: Layer) -> None:
    for member in ("a", "b"):
        Group("g").add(member)
    for _ in range(2):
        Group("g").discard(Channel("a"))
        Group("g").discard("b")
    Group("g").send({})
    assert Group("g").channels() == []
    assert drain(layer, "a") == drain(layer, "b") == []


# Channel layer


def test_channel_layers_gives_the_layer_of_an_alias_and_it_knows_its_alias() -> None:
    assert channel_layers["default"].alias == "default"


def test_router_channels_is_the_set_of_channel_names_it_can_handle(make_layer: MakeLayer) -> None:
    layer = make_layer([route("a", print), route(["b", "c"], print)])
    assert layer.router.channels == {"a", "b", "c"}


def test_router_match_returns_the_consumer_and_its_keyword_arguments(
    make_layer: MakeLayer,
) -> None:
    layer = make_layer([route("a", print, k=r"(?P<v>\d+)")])
    assert layer.router.match(Message({"k": "12"}, "a", layer)) == (print, {"v": "12"})


def test_router_match_returns_none_when_nothing_matches(make_layer: MakeLayer) -> None:
    layer = make_layer([route("a", print)])
    assert layer.router.match(Message({}, "b", layer)) is None


# AsgiRequest


def test_asgi_request_is_an_http_request_made_from_a_message(layer: Layer) -> None:
    request = AsgiRequest(request_message(layer, method="post", path="/p", query_string=b"a=1"))
    assert isinstance(request, HttpRequest)
    assert (request.method, request.path, request.GET["a"]) == ("POST", "/p", "1")
    request.close()


def test_asgi_request_has_the_reply_channel_and_the_message(layer: Layer) -> None:
    message = request_message(layer)
    request = AsgiRequest(message)
    assert isinstance(request.reply_channel, Channel)
    assert request.reply_channel.name == REPLY_CHANNEL
    assert request.message is message
    request.close()


# AsgiHandler


@pytest.mark.urls("tests.core.urls")
def test_asgi_handler_with_a_message_is_an_iterable_of_response_messages(layer: Layer) -> None:
    [reply] = AsgiHandler(request_message(layer, path="/hello/"))
    assert (reply["status"], reply["content"], reply["more_content"]) == (200, b"hello", False)


@pytest.mark.urls("tests.core.urls")
def test_asgi_handler_without_a_message_is_reusable(layer: Layer) -> None:
    handler = AsgiHandler()
    for _ in range(2):
        [reply] = handler(request_message(layer, path="/hello/"))
        assert (reply["status"], reply["content"]) == (200, b"hello")
    assert list(handler) == []


def test_encode_response_is_a_classmethod_for_plain_responses() -> None:
    [message] = AsgiHandler.encode_response(HttpResponse(b"x", content_type="text/plain"))
    assert message == {
        "status": 200,
        "headers": [(b"Content-Type", b"text/plain")],
        "content": b"x",
        "more_content": False,
    }


def test_encode_response_yields_several_messages_for_a_streaming_response() -> None:
    messages = list(AsgiHandler.encode_response(StreamingHttpResponse(iter([b"a", b"b"]))))
    assert [m.get("content") for m in messages] == [b"a", b"b", None]
    assert [m["more_content"] for m in messages] == [True, True, False]
    assert [m.get("status") for m in messages] == [200, None, None]


def test_encode_response_encodes_a_file(tmp_path: Any) -> None:
    path = tmp_path / "f.txt"
    path.write_bytes(b"content")
    response = FileResponse(path.open("rb"))
    messages: Iterator[dict[str, Any]] = AsgiHandler.encode_response(response)
    assert b"".join(m.get("content", b"") for m in messages) == b"content"
    response.close()
