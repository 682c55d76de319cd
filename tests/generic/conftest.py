from __future__ import annotations

from collections.abc import Iterator

import pytest

from channels import channel_layers
from channels.asgi import ChannelLayerWrapper
from channels.layers import InMemoryChannelLayer


@pytest.fixture
def layer() -> Iterator[ChannelLayerWrapper]:
    """A fresh default layer."""
    wrapper = ChannelLayerWrapper(InMemoryChannelLayer(), "default", [])
    channel_layers.set("default", wrapper)
    yield wrapper
    channel_layers.set("default", None)
