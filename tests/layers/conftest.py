"""A Redis server of a test alone, which it may break."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from channels.layers.redis import RedisChannelLayer

from ..redis_server import RedisServer


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server that the test may stop."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def layer(server: RedisServer) -> Iterator[RedisChannelLayer]:
    layer = RedisChannelLayer([server.url])
    yield layer
    layer.close()
