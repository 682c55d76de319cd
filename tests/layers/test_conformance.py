"""Our layers keep the contract that the public suite states."""

from __future__ import annotations

import unittest
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from channels.layers import InMemoryChannelLayer
from channels.layers.redis import RedisChannelLayer, RedisSentinelChannelLayer
from channels.test.layer_cases.base import LayerCase
from channels.test.layer_cases.batches import ReceiveBatchCases, SendManyCases, TurnCases
from channels.test.layer_cases.delivery import AsyncCases, DeliveryCases
from channels.test.layer_cases.groups import GroupCases
from channels.test.layers import ChannelLayerConformance

from ..redis_sentinel import SentinelDeployment
from ..redis_server import RedisServer


def prefixes() -> dict[str, str]:
    """Options of a Redis layer that shares nothing with those of other tests."""
    name = uuid.uuid4().hex
    return {"prefix": f"{name}:", "stats_prefix": f"{name}-meta:"}


class TestInMemoryChannelLayer(ChannelLayerConformance, unittest.TestCase):
    def make_layer(self, **config: Any) -> InMemoryChannelLayer:
        return InMemoryChannelLayer(**config)


class TestRedisChannelLayer(ChannelLayerConformance, unittest.TestCase):
    @pytest.fixture(autouse=True)
    def use_server(self, redis_url: str) -> None:
        self.url = redis_url

    def make_layer(self, **config: Any) -> RedisChannelLayer:
        return RedisChannelLayer([self.url], **prefixes(), **config)


class TalkCases(DeliveryCases, AsyncCases, SendManyCases, TurnCases, ReceiveBatchCases, LayerCase):
    """What depends on how servers are found, and on all kinds of commands."""


class TestOldestRedis(GroupCases, TalkCases, unittest.TestCase):
    @pytest.fixture(autouse=True)
    def use_server(self, bundled_redis_server: RedisServer) -> None:
        self.url = bundled_redis_server.url

    def make_layer(self, **config: Any) -> RedisChannelLayer:
        return RedisChannelLayer([self.url], **prefixes(), **config)


@pytest.fixture(scope="module")
def sentinels() -> Iterator[list[tuple[str, int]]]:
    """Those of a deployment that no test breaks."""
    with SentinelDeployment() as deployment:
        yield deployment.sentinels


class TestRedisSentinelChannelLayer(TalkCases, unittest.TestCase):
    @pytest.fixture(autouse=True)
    def use_sentinels(self, sentinels: list[tuple[str, int]]) -> None:
        self.sentinels = sentinels

    def make_layer(self, **config: Any) -> RedisSentinelChannelLayer:
        return RedisSentinelChannelLayer(self.sentinels, ["main"], **prefixes(), **config)
