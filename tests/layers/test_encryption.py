"""Messages that only those read who have a key."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from channels.layers import codec
from channels.layers.encryption import Cipher
from channels.layers.redis import RedisChannelLayer

Make = Callable[..., RedisChannelLayer]


@pytest.fixture
def make(redis_config: dict[str, Any]) -> Iterator[Make]:
    """Makes layers that differ in their keys only."""
    layers: list[RedisChannelLayer] = []

    def make(*keys: str | bytes) -> RedisChannelLayer:
        layers.append(RedisChannelLayer(**redis_config, symmetric_encryption_keys=keys))
        return layers[-1]

    yield make
    layers[0].flush()
    for layer in layers:
        layer.close()


def everything_in_redis(url: str) -> bytes:
    with redis.Redis.from_url(url) as client:
        keys = client.keys("*")
        return b"".join(
            b"".join(client.lrange(k, 0, -1)) for k in keys if client.type(k) == b"list"
        )


def test_the_server_sees_no_content(make: Make, redis_url: str) -> None:
    layer = make("a key")
    layer.send("x", {"text": "the secret"})
    layer.group_add("g", "websocket.send.P!1")
    layer.send_group("g", {"text": "the secret"})
    stored = everything_in_redis(redis_url)
    assert len(stored) > 50
    assert b"secret" not in stored
    assert layer.receive(["x"]) == ("x", {"text": "the secret"})
    received = layer.receive(["websocket.send.P!"])
    assert received == ("websocket.send.P!1", {"text": "the secret"})


def test_a_new_key_put_first_is_rotated_in_without_loss(make: Make) -> None:
    old, both, new = make("old"), make(b"new", "old"), make("new")
    old.send("x", {"n": 1})
    both.send("x", {"n": 2})
    assert both.receive(["x"]) == ("x", {"n": 1})
    assert new.receive(["x"]) == ("x", {"n": 2})


@pytest.mark.parametrize(
    ("sender", "receiver", "why"),
    [
        (["one"], ["another"], "none of the symmetric_encryption_keys decrypts"),
        ([], ["one"], "came unencrypted"),
        (["one"], [], "has no symmetric_encryption_keys"),
    ],
)
def test_a_message_without_a_fitting_key_is_lost_with_a_reason_and_nothing_else_is(
    make: Make, caplog: Any, sender: list[str], receiver: list[str], why: str
) -> None:
    wrong, right = make(*sender), make(*receiver)
    wrong.send("x", {"n": 1})
    right.send("x", {"n": 2})
    with caplog.at_level(logging.ERROR, "django.channels"):
        assert right.receive(["x"]) == (None, None)
    assert "A message to x is lost" in caplog.text
    assert why in caplog.text
    assert right.receive(["x"]) == ("x", {"n": 2})


async def test_coroutines_read_and_write_encrypted_messages(make: Make) -> None:
    layer = make("a key")
    await layer.send_async("x", {"text": "the secret"})
    assert await layer.receive_async(["x"]) == ("x", {"text": "the secret"})
    await layer.close_async()


def test_an_altered_message_is_refused() -> None:
    cipher = Cipher(["a key"])
    data = cipher.encrypt(codec.encode({"n": 1}))
    with pytest.raises(ValueError, match="decrypts"):
        cipher.decrypt(data[:-1] + bytes([data[-1] ^ 1]))


def test_without_the_package_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(ValueError, match=r"channels\[crypto\]"):
        Cipher(["a key"])
