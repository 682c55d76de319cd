"""Which method of a layer counts: the one of its most derived class."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from channels.asgi import ChannelLayerWrapper
from channels.layers import BaseChannelLayer, InMemoryChannelLayer
from channels.utils import most_derived, receive_method

from .tools import ForeignLayer

NAMES = ["receive", "receive_many"]


class Many(InMemoryChannelLayer):
    """Changes the old method only."""

    def receive_many(self, channels: Any, block: bool = False) -> Any:
        return "many", {}


class OneAgain(Many):
    def receive(self, channels: Any, block: bool = False) -> Any:
        return "one", {}


class Proxy:
    """Somebody's object in front of a layer."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.layer, name)


class Spy(Proxy):
    """A proxy with a method of its own."""

    def receive_many(self, channels: Any, block: bool = False) -> Any:
        return self.layer.receive(channels, block)


class Tracing(Proxy):
    """A proxy that gives functions of its own."""

    def __getattr__(self, name: str) -> Any:
        return functools.partial(getattr(self.layer, name))


def wrapped(layer: Any) -> ChannelLayerWrapper:
    return ChannelLayerWrapper(layer, "alias", [])


@pytest.mark.parametrize(
    "hide", [lambda layer: layer, wrapped, Proxy, lambda x: Proxy(wrapped(x))]
)
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (InMemoryChannelLayer, "receive"),
        (Many, "receive_many"),
        (OneAgain, "receive"),
        (ForeignLayer, "receive_many"),
        (lambda: Spy(InMemoryChannelLayer()), "receive_many"),
    ],
)
def test_the_name_that_the_most_derived_class_has_counts(make: Any, hide: Any, name: str) -> None:
    assert most_derived(hide(make()), NAMES) == name


def test_the_first_of_several_names_in_one_class_counts() -> None:
    assert most_derived(InMemoryChannelLayer(), ["send_async", "send"]) == "send_async"
    assert most_derived(InMemoryChannelLayer(), ["send", "send_async"]) == "send"


@pytest.mark.parametrize("hide", [lambda layer: layer, wrapped, Proxy])
def test_an_attribute_of_the_instance_wins(hide: Any) -> None:
    layer = InMemoryChannelLayer()
    layer.receive_many = lambda channels, block=False: ("spied", {})  # type: ignore[method-assign]
    assert most_derived(hide(layer), NAMES) == "receive_many"


def test_an_attribute_of_the_wrapper_wins_over_the_layer() -> None:
    wrapper = wrapped(InMemoryChannelLayer())
    wrapper.receive_many = lambda channels, block=False: ("spied", {})
    assert most_derived(wrapper, NAMES) == "receive_many"


@pytest.mark.parametrize("hide", [lambda layer: layer, wrapped, Proxy])
def test_what_the_contract_alone_defines_counts_as_absent(hide: Any) -> None:
    class Partial(BaseChannelLayer):
        def send(self, channel: str, message: Any) -> None:
            pass

    assert most_derived(hide(Partial()), ["send_many", "send"]) == "send"
    assert most_derived(hide(Partial()), ["turn", "group_refresh"]) is None


def test_what_nobody_has_is_absent() -> None:
    assert most_derived(ForeignLayer(), ["turn"]) is None
    assert most_derived(Proxy(ForeignLayer()), ["turn"]) is None


def test_of_a_proxy_that_shows_no_layer_the_first_name_that_it_has_counts() -> None:
    assert most_derived(Tracing(Many()), NAMES) == "receive"
    assert most_derived(Tracing(ForeignLayer()), NAMES) == "receive_many"


@pytest.mark.parametrize(
    ("make", "received"), [(Many, "many"), (OneAgain, "one"), (InMemoryChannelLayer, None)]
)
@pytest.mark.parametrize("hide", [lambda layer: layer, wrapped, Proxy])
def test_that_method_is_used_to_receive(make: Any, hide: Any, received: str | None) -> None:
    assert receive_method(hide(make()))(["a"])[0] == received
