"""Layers and clients of the shared Redis server, and a server of a test alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from channels.layers.redis import RedisChannelLayer

from ..redis_server import RedisServer


@pytest.fixture
def new_layer(redis_config: dict[str, Any]) -> Iterator[Callable[..., RedisChannelLayer]]:
    """Makes layers that share one prefix."""
    made: list[RedisChannelLayer] = []

    def make(**config: Any) -> RedisChannelLayer:
        made.append(RedisChannelLayer(**{**redis_config, **config}))
        return made[-1]

    yield make
    made[0].flush()
    for layer in made:
        layer.close()


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A bare client of the shared server."""
    with redis_server.client() as client:
        yield client


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
