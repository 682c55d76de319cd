"""Fixtures of the whole test suite."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from channels.layers.redis import RedisChannelLayer

from .redis_server import RedisServer


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis server that all tests share: none of them stops or empties it."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(redis_server: RedisServer) -> str:
    return redis_server.url


@pytest.fixture
def redis_config(redis_url: str) -> dict[str, object]:
    """The configuration of a Redis layer that shares nothing with those of other tests."""
    name = uuid.uuid4().hex
    return {"hosts": [redis_url], "prefix": f"{name}:", "stats_prefix": f"{name}-meta:"}


@pytest.fixture
def redis_layer(redis_config: dict[str, object]) -> Iterator[RedisChannelLayer]:
    """An empty Redis layer."""
    layer = RedisChannelLayer(**redis_config)  # type: ignore[arg-type]
    yield layer
    layer.flush()
    layer.close()
