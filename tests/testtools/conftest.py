from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from channels import channel_layers
from channels.asgi import ChannelLayerWrapper
from channels.layers import InMemoryChannelLayer

MakeLayer = Callable[..., ChannelLayerWrapper]


@pytest.fixture(params=["memory", "redis"])
def real_layer(request: pytest.FixtureRequest) -> Any:
    """A layer of each kind, as a project may have configured it."""
    if request.param == "memory":
        return InMemoryChannelLayer()
    return request.getfixturevalue("redis_layer")


@pytest.fixture
def make_layer(real_layer: Any) -> Iterator[MakeLayer]:
    """Makes the layer the default one: ``make_layer(routing)``."""

    def make(routing: Any = ()) -> ChannelLayerWrapper:
        wrapper = ChannelLayerWrapper(real_layer, "default", routing)
        channel_layers.set("default", wrapper)
        return wrapper

    yield make
    channel_layers.set("default", None)
