"""Layers that are spread over several servers keep the contract as well."""

from __future__ import annotations

import unittest
from typing import Any

import pytest

from channels.layers.redis import RedisChannelLayer, RedisClusterChannelLayer
from channels.test.layers import ChannelLayerConformance

from ..redis_cluster import ClusterDeployment
from ..redis_server import RedisServer
from .test_conformance import prefixes


class SpreadConformance(ChannelLayerConformance):
    """The suite, but for what it says about normal channels that are in one place.

    What holds for those that are in several places stands in ``test_redis_shards.py``.
    """

    # These look at the order of a normal channel, which only each of its shards keeps.
    test_a_channel_holds_exactly_its_capacity = None
    test_behind_a_refused_message_all_for_the_same_queue_are_refused = None
    test_channels_keep_order = None
    test_expired_messages_do_not_use_capacity = None
    test_many_readers_get_every_message_exactly_once = None
    test_messages_that_any_process_may_take_come_once = None
    test_receive_many_is_receive = None
    test_several_messages_are_sent_in_their_order = None
    test_what_cannot_be_sent_keeps_no_other_back = None

    # Where a normal channel is a member of a group, this goes to its home alone: so only the
    # share of that shard counts, and only what expires there ends the membership.
    test_a_group_send_counts_for_each_queue_that_it_reaches = None
    test_a_late_reader_of_an_expired_message_has_left_the_group_too = None
    test_capacity_patterns_apply_to_group_sends = None

    # Each shard that was full counts a message that it did not take.
    test_sent_pending_and_refused_messages_are_counted = None


class TestThreeShards(SpreadConformance, unittest.TestCase):
    @pytest.fixture(autouse=True)
    def use_servers(self, redis_shards: list[RedisServer]) -> None:
        self.urls = [server.url for server in redis_shards]

    def make_layer(self, **config: Any) -> RedisChannelLayer:
        return RedisChannelLayer(self.urls, **prefixes(), **config)


class TestRedisClusterChannelLayer(SpreadConformance, unittest.TestCase):
    @pytest.fixture(autouse=True)
    def use_cluster(self, redis_cluster: ClusterDeployment) -> None:
        self.hosts = redis_cluster.hosts

    def make_layer(self, **config: Any) -> RedisClusterChannelLayer:
        return RedisClusterChannelLayer(self.hosts, shards=3, **prefixes(), **config)
