"""Which consumer gets a message: routes, includes and the router over them."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from django.core.exceptions import ImproperlyConfigured

from .layers.base import BaseChannelLayer
from .types import Consumer
from .utils import as_text, import_configured, name_that_thing

if TYPE_CHECKING:
    from .message import Message

Match = tuple[Consumer, dict[str, Any]]
Filter = str | bytes | re.Pattern[str] | re.Pattern[bytes]


class RoutingObject(Protocol):
    """Anything that may stand in a routing."""

    def match(self, message: Message) -> Match | None: ...

    def channel_names(self) -> set[str]: ...


Routing = str | dict[str, Consumer | str] | Sequence[RoutingObject]


class Route:
    """Sends messages of some channels, whose values match some patterns, to a consumer.

    ``channels`` is a channel name or a list of them, ``consumer`` a callable or the dotted path
    of one, and each filter a regular expression that the message's value of that name must
    match from its start. Named groups become keyword arguments of the consumer.

    Raises ``TypeError`` for a name that no channel can have, ``ValueError`` for a filter that is
    no pattern or has positional groups, and ``ImproperlyConfigured`` for a consumer that cannot
    be imported or called.
    """

    def __init__(
        self, channels: str | bytes | Iterable[str], consumer: Consumer | str, **filters: Filter
    ) -> None:
        is_list = isinstance(channels, Iterable) and not isinstance(channels, str | bytes)
        names: Iterable[Any] = channels if is_list else [channels]
        self.channels = [as_text(name) for name in names]
        for name in self.channels:
            BaseChannelLayer.check_receive_channel(name)
        self.consumer = _resolve_consumer(consumer)
        self.filters = _compile_filters(filters)

    def match(self, message: Message) -> Match | None:
        """``(consumer, kwargs)`` when ``message`` is for this route, else ``None``."""
        if message.channel is None or message.channel.name not in self.channels:
            return None
        found = _match_filters(self.filters, message)
        if found is None:
            return None
        return self.consumer, _captures(found)

    def channel_names(self) -> set[str]:
        """The channels that this route takes messages from."""
        return set(self.channels)

    def __repr__(self) -> str:
        return f"<Route {'/'.join(self.channels)} -> {name_that_thing(self.consumer)}>"


class RouteClass(Route):
    """A route to a consumer class that says itself, by ``channel_names()``, what it takes.

    Raises ``ValueError`` when the class has no callable ``channel_names``.
    """

    def __init__(self, consumer: Consumer | str, **filters: Filter) -> None:
        consumer = _resolve_consumer(consumer)
        channel_names = getattr(consumer, "channel_names", None)
        if not callable(channel_names):
            raise ValueError(
                f"route_class() takes a consumer class with a channel_names() method, and "
                f"{name_that_thing(consumer)} has none; use route() for plain consumers."
            )
        super().__init__(channel_names(), consumer, **filters)


class Include:
    """A routing within a routing.

    ``routing`` is a list of routing objects, a dict from channel to consumer, or the dotted path
    of either. What a filter matches is cut off the front of the message's value before the
    routing inside sees it; the message that the consumer gets stays as it was.
    """

    def __init__(self, routing: Routing, **filters: Filter) -> None:
        self.routing = _resolve_routing(routing)
        self.prefixes = _compile_filters(filters)

    def match(self, message: Message) -> Match | None:
        """The first match inside, with the captures of both; ``None`` when there is none."""
        found = _match_filters(self.prefixes, message)
        if found is None:
            return None
        inner_message = _without_prefixes(message, found) if found else message
        for routing_object in self.routing:
            match = routing_object.match(inner_message)
            if match is not None:
                consumer, kwargs = match
                return consumer, {**_captures(found), **kwargs}
        return None

    def channel_names(self) -> set[str]:
        """The channels that anything inside takes messages from."""
        return {name for route in self.routing for name in route.channel_names()}

    def __repr__(self) -> str:
        return f"<Include {self.routing!r}>"


class Router:
    """The routing of a channel layer.

    Raises ``ImproperlyConfigured`` for a routing that is of no known kind or not importable.
    """

    def __init__(self, routing: Routing) -> None:
        self.root = Include(routing)

    @property
    def channels(self) -> set[str]:
        """The names of all channels that have a route."""
        return self.root.channel_names()

    def match(self, message: Message) -> Match | None:
        """``(consumer, kwargs)`` for ``message``, or ``None``; the first route wins."""
        return self.root.match(message)

    def add_route(self, route: RoutingObject) -> None:
        """Append ``route``, behind all others."""
        self.root.routing.append(route)

    def check_default(self, http_consumer: Consumer | None = None) -> None:
        """Append the default consumers, for messages that no route of the project takes.

        ``http_consumer`` takes the HTTP requests; by default Django's view layer does.
        """
        if http_consumer is None:
            http_consumer = import_configured("channels.handler.ViewConsumer", "consumer")()
        self.add_route(Route("http.request", http_consumer))
        self.add_route(Route("websocket.connect", connect_consumer))
        self.add_route(Route(["websocket.receive", "websocket.disconnect"], null_consumer))
        # One comes for every request, so a route for some of them must not make the others errors.
        if "http.disconnect" in self.channels:
            self.add_route(Route("http.disconnect", null_consumer))


def null_consumer(message: Message, **kwargs: Any) -> None:
    """A consumer that does nothing."""


def connect_consumer(message: Message, **kwargs: Any) -> None:
    """A consumer that accepts the socket."""
    if message.reply_channel is not None:
        message.reply_channel.send({"accept": True})


# Lower-case, because they read as the verbs of a routing.
route = Route
route_class = RouteClass
include = Include


def _resolve_consumer(consumer: Consumer | str) -> Consumer:
    if isinstance(consumer, str):
        consumer = import_configured(consumer, "consumer")
    if not callable(consumer):
        raise ImproperlyConfigured(
            f"A consumer must be callable, or the dotted path of a callable, not {consumer!r}."
        )
    return consumer


def _resolve_routing(routing: Routing) -> list[RoutingObject]:
    if isinstance(routing, str):
        routing = import_configured(routing, "routing")
    if isinstance(routing, dict):
        return [Route(channel, consumer) for channel, consumer in routing.items()]
    if not isinstance(routing, list | tuple):
        raise ImproperlyConfigured(
            f"A routing must be a list of routes, a dict from channels to consumers, or the "
            f"dotted path of either, not {routing!r}."
        )
    for item in routing:
        if not callable(getattr(item, "match", None)) or not hasattr(item, "channel_names"):
            raise ImproperlyConfigured(
                f"{item!r} cannot stand in a routing: use route(), route_class() or include(), "
                "or an object with match() and channel_names()."
            )
    return list(routing)


def _compile_filters(filters: dict[str, Filter]) -> dict[str, re.Pattern[str]]:
    compiled = {name: _compile_filter(name, pattern) for name, pattern in filters.items()}
    for name, pattern in compiled.items():
        if pattern.groups != len(pattern.groupindex):
            raise ValueError(
                f"The filter {name}={pattern.pattern!r} has a positional group; captures become "
                "keyword arguments, so name it, (?P<name>...), or make it (?:...)."
            )
    return compiled


def _compile_filter(name: str, pattern: Any) -> re.Pattern[str]:
    try:
        if isinstance(pattern, re.Pattern):
            return re.compile(as_text(pattern.pattern), pattern.flags)
        return re.compile(as_text(pattern))
    except (TypeError, ValueError, re.error) as error:
        raise ValueError(
            f"The filter {name}={pattern!r} is not a regular expression: {error}."
        ) from error


def _match_filters(
    filters: dict[str, re.Pattern[str]], message: Message
) -> dict[str, re.Match[str]] | None:
    """What each filter matched, or ``None`` unless all of them did."""
    found = {}
    for name, pattern in filters.items():
        value = message.content.get(name)
        match = pattern.match(as_text(value)) if isinstance(value, str | bytes) else None
        if match is None:
            return None
        found[name] = match
    return found


def _captures(found: dict[str, re.Match[str]]) -> dict[str, Any]:
    return {name: value for match in found.values() for name, value in match.groupdict().items()}


def _without_prefixes(message: Message, found: dict[str, re.Match[str]]) -> Message:
    rest = {name: match.string[match.end() :] for name, match in found.items()}
    stripped = copy.copy(message)
    stripped.content = {**message.content, **rest}
    return stripped
