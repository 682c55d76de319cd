"""Running consumers in a test's own thread, over a layer and routes made for the test."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, ClassVar

from django.core.signals import request_finished, request_started
from django.db import close_old_connections, reset_queries
from django.test import TestCase, TransactionTestCase
from django.test.utils import TestContextDecorator

from ..asgi import DEFAULT_CHANNEL_LAYER, ChannelLayerWrapper, channel_layers
from ..channel import Channel, Group
from ..layers import InMemoryChannelLayer
from ..layers.names import queue_of
from ..lifecycle import run_consumer
from ..message import Message
from ..routing import Include, RoutingObject
from ..signals import consumer_finished, consumer_started
from ..types import Consumer, Content
from ..utils import name_that_thing, receive_method

__all__ = [
    "ChannelTestCase",
    "ChannelTestCaseMixin",
    "Client",
    "TransactionChannelTestCase",
    "apply_routes",
]


@contextmanager
def replaced(alias: str, **attributes: Any) -> Iterator[ChannelLayerWrapper]:
    """Give the wrapper of ``alias`` other ``attributes``, and a router made anew, for a while.

    It stays the same object, so that channels and groups made earlier follow.
    """
    wrapper = channel_layers[alias]
    held = vars(wrapper)
    before = dict(held)
    held.pop("router", None)
    held.update(attributes)
    try:
        yield wrapper
    finally:
        held.pop("router", None)
        held.update(before)


@contextmanager
def connections_left_alone() -> Iterator[None]:
    """Let consumers neither close the test's database connections nor reset its query log.

    The same that Django's test client does around a request; views that consumers run send the
    signals of a request too.
    """
    suspended = [
        (signal, receiver)
        for signal in (consumer_started, consumer_finished, request_started, request_finished)
        for receiver in (reset_queries, close_old_connections)
        if signal.disconnect(receiver)
    ]
    try:
        yield
    finally:
        for signal, receiver in suspended:
            signal.connect(receiver)


class AroundTestMixin:
    """Keeps a context around each test, from before ``setUp()`` to after the last cleanup."""

    def around_test(self) -> AbstractContextManager[Any]:
        """The context; an error in it is reported as the test's."""
        raise NotImplementedError

    def _callSetUp(self) -> None:
        # Not in setUp(), which projects override without calling super(), nor in run(), where
        # skipped tests come by too and where errors are not caught.
        self.enterContext(self.around_test())  # type: ignore[attr-defined]
        super()._callSetUp()  # type: ignore[misc]


class ChannelTestCaseMixin(AroundTestMixin):
    """Gives each test a fresh in-memory layer with the real routing.

    Default consumers are not added to the routing.
    """

    #: The aliases whose layers are exchanged; they must be in CHANNEL_LAYERS.
    test_channel_aliases: ClassVar[Sequence[str]] = [DEFAULT_CHANNEL_LAYER]

    @contextmanager
    def around_test(self) -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(connections_left_alone())
            for alias in self.test_channel_aliases:
                stack.enter_context(replaced(alias, channel_layer=InMemoryChannelLayer()))
            yield

    def get_next_message(
        self, channel: str, alias: str = DEFAULT_CHANNEL_LAYER, require: bool = False
    ) -> Message | None:
        """Take the next message off ``channel`` of the layer ``alias``; ``None`` without one.

        With ``require`` the test fails instead.
        """
        message = next_message(channel, alias)
        if message is None and require:
            raise AssertionError(f"Expected a message on channel {channel!r}, there is none.")
        return message


class ChannelTestCase(ChannelTestCaseMixin, TestCase):
    """Django's ``TestCase`` with a channel layer of its own."""


class TransactionChannelTestCase(ChannelTestCaseMixin, TransactionTestCase):
    """Django's ``TransactionTestCase`` with a channel layer of its own."""


class Client:
    """Sends messages and runs their consumers, here and now.

    ``alias`` is the channel layer to use, whichever it is at the time. What a client sends has
    its own reply channel, unless the content names another.
    """

    def __init__(self, alias: str = DEFAULT_CHANNEL_LAYER) -> None:
        self.alias = alias
        # Single-reader rather than process-specific, so that every layer lets it be received
        # by its own name.
        self.reply_channel: str = self.channel_layer.new_channel("test.client?")

    @property
    def channel_layer(self) -> ChannelLayerWrapper:
        """The wrapper of the layer."""
        return channel_layers[self.alias]

    def get_next_message(self, channel: str) -> Message | None:
        """Take the next message off ``channel``; ``None`` without one."""
        return next_message(channel, self.alias)

    def get_consumer_by_channel(self, channel: str) -> Consumer | None:
        """The consumer of a message on ``channel`` with an empty text; ``None`` without one."""
        message = Message({"text": ""}, channel, self.channel_layer)
        match = self.channel_layer.router.match(message)
        return match[0] if match else None

    def send(self, to: str, content: Content | None = None) -> None:
        """Send ``content`` to the channel ``to``, at once.

        Raises what ``Channel.send`` raises.
        """
        content = {"reply_channel": self.reply_channel, **(content or {})}
        Channel(to, channel_layer=self.channel_layer).send(content, immediately=True)

    def consume(self, channel: str, fail_on_none: bool = True) -> Any:
        """Run the consumer of the next message on ``channel``; returns what it returns.

        A consumer class gives its instance. A ``ChannelSocketException`` acts on its socket as
        in production, all other exceptions of the consumer get through, also ``ConsumeLater``
        and ``DenyConnection``; what it sent before has been sent then. ``AssertionError`` when
        there is no message or no route for it, or ``None`` without ``fail_on_none``.
        """
        message = self.get_next_message(channel)
        if message is None:
            return _nothing(f"There is no message on channel {channel!r}.", fail_on_none)
        match = self.channel_layer.router.match(message)
        if match is None:
            return _nothing(f"No route takes {message!r}: {message.content!r}", fail_on_none)
        consumer, kwargs = match
        with connections_left_alone():
            return run_consumer(consumer, message, kwargs, sender=type(self))

    def send_and_consume(
        self, channel: str, content: Content | None = None, fail_on_none: bool = True
    ) -> Any:
        """``send`` and then ``consume``."""
        self.send(channel, content)
        return self.consume(channel, fail_on_none=fail_on_none)

    def receive(self) -> Any:
        """The content of the next reply to this client; ``None`` without one."""
        message = self.get_next_message(self.reply_channel)
        return message.content if message else None

    def join_group(self, group_name: str) -> None:
        """Make this client's reply channel a member of a group."""
        Group(group_name, channel_layer=self.channel_layer).add(self.reply_channel)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.reply_channel}>"


class apply_routes(TestContextDecorator):
    """Other routes for a layer: a context manager, and a decorator of functions and classes.

    ``routes`` is one route, a list, or a list of lists, which are joined; the dotted path of a
    routing and a dict are understood too. ``aliases`` are the layers to change, the default one
    when it is ``None``. A decorated ``unittest.TestCase`` has the routes in ``setUp`` too; of
    any other class the methods whose names start with ``test`` are decorated.
    """

    def __init__(self, routes: Any, aliases: Sequence[str] | str | None = None) -> None:
        super().__init__()
        self.routes = _flatten(routes)
        self.aliases = [aliases] if isinstance(aliases, str) else aliases
        self._entered: list[ExitStack] = []

    def enable(self) -> None:
        with ExitStack() as stack:
            for alias in self.aliases or [DEFAULT_CHANNEL_LAYER]:
                stack.enter_context(replaced(alias, routing=self.routes))
            self._entered.append(stack.pop_all())

    def disable(self) -> None:
        self._entered.pop().close()

    def decorate_class(self, cls: Any) -> Any:
        if issubclass(cls, unittest.TestCase):
            cls._callSetUp = self._entering(cls._callSetUp)
            return cls
        for name, value in list(vars(cls).items()):
            if name.startswith("test") and callable(value):
                setattr(cls, name, self(value))
        return cls

    def _entering(self, call_set_up: Callable[[Any], None]) -> Callable[[Any], None]:
        def _callSetUp(test: Any) -> None:
            test.enterContext(self)
            call_set_up(test)

        return _callSetUp


def next_message(channel: str, alias: str) -> Message | None:
    """Take the next message off ``channel``, of whatever kind; ``None`` without one."""
    wrapper = channel_layers[alias]
    queue = queue_of(channel)
    if queue == channel:
        name, content = receive_method(wrapper)([channel], block=False)
    else:
        name, content = channel, _take_from_process(wrapper, queue, channel)
    return None if content is None else Message(content, name, wrapper)


def _take_from_process(layer: ChannelLayerWrapper, queue: str, channel: str) -> Content | None:
    """The next message to ``channel``; those to other sockets of its process stay, in order."""
    found: Content | None = None
    others: list[tuple[str, Content]] = []
    while found is None or others:
        name, content = receive_method(layer)([queue], block=False)
        if name is None:
            break
        if found is None and name == channel:
            found = content
        else:
            others.append((name, content))
    for name, content in others:
        layer.send(name, content)
    return found


def _nothing(reason: str, fail: bool) -> None:
    if fail:
        raise AssertionError(reason)


def _flatten(routes: Any) -> list[RoutingObject]:
    if isinstance(routes, list | tuple):
        return [route for item in routes for route in _flatten(item)]
    if isinstance(routes, str | dict):
        return [Include(routes)]
    if not callable(getattr(routes, "match", None)):
        raise TypeError(
            "apply_routes() takes routes, lists of them, dicts or dotted paths, not "
            f"{name_that_thing(routes)}."
        )
    return [routes]
