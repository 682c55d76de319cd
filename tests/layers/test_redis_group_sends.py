"""A group send goes to the owners that are known, and asks for those of now in the same write."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from channels.exceptions import ChannelLayerUnavailable
from channels.layers.redis import RedisChannelLayer
from channels.layers.redis import batch as batch_module
from channels.layers.redis import sender as sender_module
from channels.test.layer_cases.base import numbers

from ..redis_deployments import running_shards
from ..redis_server import RedisServer
from ..tcp_proxy import TcpProxy

#: With three shards, the homes of these processes, and of the group, which is in the first.
ON_THE_FIRST, ON_THE_SECOND = "websocket.send.Zk3v9QmX2aLw!", "websocket.send.P!"
GROUP = "users"


@pytest.fixture
def other(redis_layer: RedisChannelLayer, redis_url: str) -> Iterator[RedisChannelLayer]:
    """Another process's view of the same layer."""
    layer = RedisChannelLayer(
        [redis_url], redis_layer.prefix, stats_prefix=redis_layer.stats_prefix
    )
    yield layer
    layer.close()


def test_who_joined_since_the_last_send_is_reached(
    redis_layer: RedisChannelLayer, other: RedisChannelLayer
) -> None:
    redis_layer.group_add("g", "ws.P!1")
    redis_layer.send_group("g", {"n": 1})
    other.group_add("g", "ws.Q!1")
    other.group_add("g", "plain")
    redis_layer.send_group("g", {"n": 2})
    redis_layer.send_group("g", {"n": 3})
    assert numbers(redis_layer, "ws.P!") == [1, 2, 3]
    assert numbers(redis_layer, "ws.Q!") == [2, 3]
    assert numbers(redis_layer, "plain") == [2, 3]


def test_who_left_since_the_last_send_is_not_reached(
    redis_layer: RedisChannelLayer, other: RedisChannelLayer
) -> None:
    for channel in ("ws.P!1", "ws.Q!1", "plain"):
        redis_layer.group_add("g", channel)
    redis_layer.send_group("g", {"n": 1})
    for channel in ("ws.P!1", "plain"):
        other.group_discard("g", channel)
    redis_layer.send_group("g", {"n": 2})
    other.group_add("g", "ws.P!1")
    redis_layer.send_group("g", {"n": 3})
    assert numbers(redis_layer, "ws.P!") == [1, 3]
    assert numbers(redis_layer, "ws.Q!") == [1, 2, 3]
    assert numbers(redis_layer, "plain") == [1]


def test_owners_that_are_known_are_sent_to_before_those_of_now_are_heard(
    redis_server: RedisServer,
) -> None:
    with TcpProxy(redis_server.port) as proxy:
        layer = RedisChannelLayer(
            [("127.0.0.1", proxy.port)],
            prefix=f"{uuid.uuid4().hex}:",
            connection_kwargs={"socket_timeout": 0.5},
        )
        layer.group_add("g", "ws.P!1")
        layer.send_group("g", {"n": 1})
        layer.send("warm", {})
        proxy.hang_reply_to = b"ZRANGE"
        with pytest.raises(ChannelLayerUnavailable) as raised:
            layer.send_group("g", {"n": 2})
        proxy.hang_reply_to = None
        assert raised.value.may_have_arrived
        assert numbers(layer, "ws.P!") == [1, 2]
        layer.close()


def test_an_error_says_so_when_some_members_got_the_message() -> None:
    with running_shards() as servers:
        layer = RedisChannelLayer([("127.0.0.1", server.port) for server in servers])
        for process in (ON_THE_FIRST, ON_THE_SECOND):
            layer.group_add(GROUP, f"{process}1")
        layer.send_group(GROUP, {"n": 1})
        servers[1].stop()
        layer.close()  # as a connection that was just used is not looked at
        with pytest.raises(ChannelLayerUnavailable, match="Some members of the group") as raised:
            layer.send_group(GROUP, {"n": 2})
        assert raised.value.may_have_arrived
        assert numbers(layer, ON_THE_FIRST) == [1, 2]
        layer.close()


def test_no_more_owners_are_remembered_than_is_good(
    redis_layer: RedisChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "OWNERS_OF_A_GROUP", 2)
    monkeypatch.setattr(sender_module, "OWNERS_KNOWN", 4)
    channels = {"a": ["x"], "b": ["x", "y"], "c": [], "d": ["x", "y", "z"], "e": ["y", "z"]}
    for _ in range(3):
        for group, members in channels.items():
            for channel in members:
                redis_layer.group_add(group, channel)
            redis_layer.send_group(group, {"n": 1})
            known = redis_layer._sender._audiences.values()
            assert all(len(audience.owners) in (1, 2) for audience in known)
            assert sum(len(audience.owners) for audience in known) <= 4
    assert numbers(redis_layer, "x") == [1] * 9
    assert numbers(redis_layer, "z") == [1] * 6


def test_a_large_message_goes_to_known_owners_in_parts_too(
    redis_layer: RedisChannelLayer, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (batch_module, sender_module):
        monkeypatch.setattr(module, "BYTES_AT_ONCE", 3000)
    members = [f"m{number}" for number in range(9)]
    for channel in members:
        redis_layer.group_add("g", channel)

    def pushes(message: Any) -> int:
        with redis_server.client() as client:
            before: Any = client.info("commandstats")
            redis_layer.send_group("g", message)
            after: Any = client.info("commandstats")
        return int(after["cmdstat_evalsha"]["calls"] - before["cmdstat_evalsha"]["calls"])

    redis_layer.send_group("g", {"n": 1})
    assert pushes({"n": 1}) == 1
    assert pushes({"n": 1, "x": "y" * 900}) == 3
    assert pushes({"n": 1}) == 1
    assert all(numbers(redis_layer, channel) == [1] * 4 for channel in members)
