"""Our layers keep the contract that the public suite states."""

from __future__ import annotations

import unittest
import uuid
from typing import Any

import pytest

from channels.layers import InMemoryChannelLayer
from channels.layers.redis import RedisChannelLayer
from channels.test.layers import ChannelLayerConformance


class TestInMemoryChannelLayer(ChannelLayerConformance, unittest.TestCase):
    def make_layer(self, **config: Any) -> InMemoryChannelLayer:
        return InMemoryChannelLayer(**config)


class TestRedisChannelLayer(ChannelLayerConformance, unittest.TestCase):
    @pytest.fixture(autouse=True)
    def use_server(self, redis_url: str) -> None:
        self.url = redis_url

    def make_layer(self, **config: Any) -> RedisChannelLayer:
        name = uuid.uuid4().hex
        return RedisChannelLayer(
            [self.url], prefix=f"{name}:", stats_prefix=f"{name}-meta:", **config
        )
