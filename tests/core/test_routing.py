"""Routes, includes and routers."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from channels import include, route, route_class
from channels.asgi import ChannelLayerWrapper
from channels.handler import ViewConsumer
from channels.message import Message
from channels.routing import (
    Include,
    Route,
    RouteClass,
    Router,
    connect_consumer,
    null_consumer,
)

from . import consumers
from .consumers import consumer
from .tools import drain

Layer = ChannelLayerWrapper


def other(message: Message, **kwargs: Any) -> None:
    pass


class Class:
    """A consumer class with channel names of its own."""

    def __init__(self, message: Message, **kwargs: Any) -> None:
        pass

    @classmethod
    def channel_names(cls) -> set[str]:
        return {"one", "two"}


def message(channel: str | None, **content: Any) -> Message:
    return Message(content, channel, object())


# Routes


def test_the_public_names_are_the_classes() -> None:
    assert (route, route_class, include) == (Route, RouteClass, Include)


def test_a_route_matches_its_channel_only() -> None:
    assert route("a", consumer).match(message("a")) == (consumer, {})
    assert route("a", consumer).match(message("b")) is None
    assert route("a", consumer).match(message(None)) is None


def test_a_route_takes_a_list_of_channels() -> None:
    a_route = route(["a", "b"], consumer)
    assert a_route.channels == ["a", "b"]
    assert a_route.channel_names() == {"a", "b"}
    assert a_route.match(message("b")) == (consumer, {})


def test_a_route_takes_bytes_as_channel() -> None:
    assert Route(b"a", consumer).match(message("a")) == (consumer, {})


def test_a_consumer_may_be_a_dotted_path() -> None:
    a_route = route("a", "tests.core.consumers.consumer")
    assert a_route.consumer is consumer
    assert a_route.match(message("a")) == (consumer, {})


def test_a_class_is_a_consumer_of_a_plain_route() -> None:
    assert route("a", Class).match(message("a")) == (Class, {})


@pytest.mark.parametrize(
    "path", ["tests.core.consumers.missing", "no.such.module", "nodots", "tests.core.broken.x"]
)
def test_an_unimportable_consumer_is_improperly_configured_and_named(path: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=re.escape(f"consumer '{path}'")):
        route("a", path)


def test_a_consumer_must_be_callable() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"callable.*not 5"):
        route("a", "tests.core.consumers.not_callable")


def test_a_route_shows_its_channels_and_consumer() -> None:
    assert repr(route(["a", "b"], consumer)) == "<Route a/b -> tests.core.consumers.consumer>"


# Filters


def test_filters_match_from_the_start_of_the_value() -> None:
    a_route = route("a", consumer, path="/chat")
    assert a_route.match(message("a", path="/chat/room"))
    assert a_route.match(message("a", path="/x/chat")) is None


def test_all_filters_must_match() -> None:
    a_route = route("a", consumer, path="^/chat$", method="^POST$")
    assert a_route.match(message("a", path="/chat", method="POST")) == (consumer, {})
    assert a_route.match(message("a", path="/chat", method="GET")) is None


def test_a_missing_key_is_no_match() -> None:
    assert route("a", consumer, path="").match(message("a")) is None


@pytest.mark.parametrize("value", [None, 5, ["/"], {"a": 1}])
def test_a_value_that_is_neither_text_nor_bytes_is_no_match(value: Any) -> None:
    assert route("a", consumer, path="").match(message("a", path=value)) is None


def test_named_groups_of_all_filters_become_keyword_arguments() -> None:
    a_route = route("a", consumer, path=r"^/(?P<room>\w+)", method="(?P<verb>.*)")
    match = a_route.match(message("a", path="/attic", method="GET"))
    assert match == (consumer, {"room": "attic", "verb": "GET"})


def test_a_named_group_that_took_no_part_is_none() -> None:
    a_route = route("a", consumer, path=r"^/(?P<room>\w+)?$")
    assert a_route.match(message("a", path="/")) == (consumer, {"room": None})


@pytest.mark.parametrize("make", [route, include])
def test_positional_groups_are_a_value_error_at_definition(make: Any) -> None:
    with pytest.raises(ValueError, match=r"path=.*positional group.*\(\?P<name>"):
        make("tests.core.consumers.routing", **({"consumer": consumer} if make is route else {}),
             path=r"^/(\w+)/(?P<x>\d)")  # fmt: skip


@pytest.mark.parametrize("pattern", ["(?P<x>", 5])
def test_a_filter_that_is_no_pattern_is_a_value_error_that_names_it(pattern: Any) -> None:
    with pytest.raises(ValueError, match=r"path=.* is not a regular expression"):
        route("a", consumer, path=pattern)


def test_compiled_patterns_may_be_bytes() -> None:
    pattern: Any = re.compile(b"/(?P<p>[a-z]+)", re.IGNORECASE)
    match = route("a", consumer, path=pattern).match(message("a", path="/AB"))
    assert match == (consumer, {"p": "AB"})


def test_channels_and_consumer_in_the_wrong_order_are_a_type_error() -> None:
    with pytest.raises(TypeError, match="A channel name must be text, not function"):
        route(consumer, "a")  # type: ignore[arg-type]


def test_groups_that_capture_nothing_are_allowed() -> None:
    assert route("a", consumer, path="(?:a|b)").match(message("a", path="b")) == (consumer, {})


def test_bytes_values_are_treated_as_text() -> None:
    match = route("a", consumer, path="(?P<p>.*)").match(message("a", path="/é".encode()))
    assert match == (consumer, {"p": "/é"})


def test_bytes_that_are_no_text_do_not_raise() -> None:
    assert route("a", consumer, path="/ok").match(message("a", path=b"\xff")) is None


def test_patterns_may_be_bytes_or_compiled() -> None:
    assert Route("a", consumer, path=b"^/x").match(message("a", path="/x"))
    a_route = route("a", consumer, path=re.compile("^/X", re.IGNORECASE))
    assert a_route.match(message("a", path="/x"))


def test_the_filters_of_a_route_are_compiled_patterns() -> None:
    assert route("a", consumer, path="^/x").filters == {"path": re.compile("^/x")}


# Classes


def test_route_class_takes_the_channels_from_the_class() -> None:
    a_route = route_class(Class, path="^/x")
    assert a_route.channel_names() == {"one", "two"}
    assert a_route.match(message("two", path="/x")) == (Class, {})
    assert a_route.match(message("two", path="/y")) is None


@pytest.mark.parametrize("thing", [consumer, "tests.core.consumers.consumer"])
def test_route_class_of_something_without_channel_names_is_a_value_error(thing: Any) -> None:
    with pytest.raises(ValueError, match=r"channel_names\(\) method.*consumers\.consumer"):
        route_class(thing)


def test_route_class_needs_channel_names_to_be_callable() -> None:
    wrong = type("Wrong", (), {"channel_names": {"a"}})
    with pytest.raises(ValueError, match="channel_names"):
        route_class(wrong)


# Includes


def test_include_strips_what_its_filter_matched() -> None:
    an_include = include([route("a", consumer, path="^/room$")], path="^/chat")
    assert an_include.match(message("a", path="/chat/room")) == (consumer, {})
    assert an_include.match(message("a", path="/room")) is None


def test_include_without_filters_strips_nothing() -> None:
    assert include([route("a", consumer, path="^/x$")]).match(message("a", path="/x"))


def test_includes_nest() -> None:
    inner = include([route("a", consumer, path=r"^/(?P<c>\w)$")], path=r"^/(?P<b>\w)")
    outer = include([inner], path=r"^/(?P<a>\w)")
    match = outer.match(message("a", path="/1/2/3"))
    assert match == (consumer, {"a": "1", "b": "2", "c": "3"})


def test_inner_captures_win_over_outer_ones() -> None:
    an_include = include([route("a", consumer, path=r"/(?P<v>\w)")], path=r"/(?P<v>\w)")
    assert an_include.match(message("a", path="/1/2")) == (consumer, {"v": "2"})


def test_include_strips_bytes_values() -> None:
    an_include = include([route("a", consumer, path="^/room$")], path="^/chat")
    assert an_include.match(message("a", path=b"/chat/room")) == (consumer, {})


def test_matching_does_not_alter_the_message() -> None:
    content = {"path": b"/chat/room"}
    a_message = Message(content, "a", object())
    include([route("a", consumer, path="^/room$")], path="^/chat").match(a_message)
    assert a_message.content is content
    assert content == {"path": b"/chat/room"}


@pytest.mark.parametrize(
    ("routing", "channel"),
    [
        ("tests.core.consumers.routing", "listed"),
        ("tests.core.consumers.routing_dict", "mapped"),
        ({"mapped": consumer}, "mapped"),
        ([route("listed", consumer)], "listed"),
        ((route("listed", consumer),), "listed"),
    ],
)
def test_a_routing_is_a_list_a_dict_or_a_dotted_path_of_either(routing: Any, channel: str) -> None:
    assert include(routing).match(message(channel)) == (consumer, {})
    assert Router(routing).channels == {channel}


def test_an_include_has_its_routing_and_prefixes() -> None:
    inner = route("a", consumer)
    an_include = include([inner], path="^/x")
    assert an_include.routing == [inner]
    assert an_include.prefixes == {"path": re.compile("^/x")}
    assert repr(an_include) == f"<Include [{inner!r}]>"


@pytest.mark.parametrize("path", ["tests.core.missing.routing", "tests.core.broken.routing"])
def test_an_unimportable_routing_is_improperly_configured_and_named(path: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=re.escape(f"routing '{path}'")):
        Router(path)


def test_a_routing_of_an_unknown_kind_is_improperly_configured() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"must be a list of routes.*not 5"):
        Router("tests.core.consumers.not_callable")


def test_a_thing_that_is_no_routing_object_is_improperly_configured() -> None:
    with pytest.raises(ImproperlyConfigured, match="cannot stand in a routing"):
        Router([consumer])  # type: ignore[list-item]


# Routers


def test_the_first_match_wins() -> None:
    router = Router([route("a", consumer, path="/x"), route("a", other)])
    assert router.match(message("a", path="/x")) == (consumer, {})
    assert router.match(message("a", path="/y")) == (other, {})


def test_an_include_that_matches_nothing_inside_lets_later_routes_match() -> None:
    router = Router([include([route("a", consumer, path="^$")], path="^/x"), route("a", other)])
    assert router.match(message("a", path="/x/y")) == (other, {})


def test_any_object_with_match_and_channel_names_is_a_routing_object() -> None:
    class Custom:
        def match(self, message: Message) -> Any:
            return consumer, {"by": "custom"}

        def channel_names(self) -> set[str]:
            return {"custom"}

    router = Router([include([Custom()], path="^(?P<p>/x)")])
    assert router.channels == {"custom"}
    assert router.match(message("any", path="/x")) == (consumer, {"p": "/x", "by": "custom"})


def test_add_route_appends() -> None:
    router = Router([route("a", consumer)])
    router.add_route(route(["a", "b"], other))
    assert router.match(message("a")) == (consumer, {})
    assert router.match(message("b")) == (other, {})
    assert router.channels == {"a", "b"}


def test_adding_a_route_leaves_the_projects_list_alone() -> None:
    Router("tests.core.consumers.routing").add_route(route("b", other))
    assert len(consumers.routing) == 1


def test_the_match_of_a_routers_root_may_be_replaced() -> None:
    router = Router([route("a", consumer)])
    router.root.match = lambda message: (other, {"r": 1})  # type: ignore[method-assign]
    assert router.match(message("a")) == (other, {"r": 1})


def test_check_default_appends_the_default_consumers() -> None:
    router = Router([route("http.request", consumer, path="^/own$")])
    router.check_default()
    assert router.channels == {
        "http.request", "websocket.connect", "websocket.receive", "websocket.disconnect"
    }  # fmt: skip
    assert router.match(message("http.request", path="/own")) == (consumer, {})
    found, _ = router.match(message("http.request", path="/x")) or (None, None)
    assert isinstance(found, ViewConsumer)
    assert router.match(message("websocket.connect")) == (connect_consumer, {})
    assert router.match(message("websocket.receive")) == (null_consumer, {})
    assert router.match(message("websocket.disconnect")) == (null_consumer, {})


def test_check_default_takes_another_http_consumer() -> None:
    router = Router([])
    router.check_default(http_consumer=other)
    assert router.match(message("http.request")) == (other, {})


def test_the_connect_consumer_accepts_the_socket(layer: Layer) -> None:
    connect_consumer(Message({"reply_channel": "r!1"}, "websocket.connect", layer), extra=1)
    assert drain(layer, "r!") == [{"accept": True}]


def test_the_connect_consumer_bears_a_message_without_reply_channel(layer: Layer) -> None:
    connect_consumer(Message({}, "websocket.connect", layer))
    assert layer.global_statistics()["messages_count"] == 0


def test_the_null_consumer_sends_nothing(layer: Layer) -> None:
    null_consumer(Message({"reply_channel": "r!1"}, "websocket.receive", layer), extra=1)
    assert drain(layer, "r!") == []


def test_a_name_that_no_channel_can_have_is_refused_at_definition() -> None:
    with pytest.raises(TypeError, match="'web socket' is not a channel name"):
        route(["websocket.connect", "web socket"], null_consumer)


def test_the_end_of_a_request_is_ignored_where_some_are_routed_and_nowhere_else() -> None:
    routed = Router([route("http.disconnect", consumer, path="^/poll/")])
    routed.check_default()
    content = {"reply_channel": "http.response.p!1"}
    for path, expected in (("/poll/", consumer), ("/", null_consumer)):
        message = Message({**content, "path": path}, "http.disconnect", None)
        assert routed.match(message) == (expected, {})
    plain = Router([])
    plain.check_default()
    assert "http.disconnect" not in plain.channels
