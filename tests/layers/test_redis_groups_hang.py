"""Processes that stop receiving for a while, or for ever, and what becomes of their members."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import redis

from channels.layers.redis import RedisChannelLayer
from channels.test.layer_cases.base import drain
from channels.types import Sending

from ..redis_server import wait_until
from .reading import Reader

Layers = Callable[..., RedisChannelLayer]


def announce(layer: RedisChannelLayer, process: str = "ws.P!") -> None:
    """Announce a process now; messages that wait for it stay where they are."""
    processes = layer._receiver.processes
    home = layer._shards.home(process)
    layer._driver.drive(processes.announce(home, process))


def let_it_be_late(layer: RedisChannelLayer, client: redis.Redis, process: str) -> None:
    """As if a process had not announced itself, nor read its journal, for somewhat too long."""
    key = f"{layer.prefix}alive:"
    seconds, _ = client.time()
    client.zadd(key, {process: seconds * 1000 - 1000}, xx=True)
    layer._receiver.processes._known[process].read_at -= 61


def let_it_be_dead(layer: RedisChannelLayer, client: redis.Redis, process: str) -> None:
    """The same, for so long that others clear up after it."""
    let_it_be_late(layer, client, process)
    client.zadd(f"{layer.prefix}alive:", {process: 1}, xx=True)


def lose_journal(layer: RedisChannelLayer, client: redis.Redis, process: str) -> None:
    """As if a process had not read for longer than its journal is kept."""
    assert client.unlink(f"{layer.prefix}journal:{process}") == 1
    layer._receiver.processes._known[process].read_at -= 61


def keys(client: redis.Redis, layer: RedisChannelLayer) -> list[str]:
    return sorted(key.decode() for key in client.scan_iter(layer.prefix + "*"))


def test_a_process_that_hung_for_longer_than_journals_are_kept_knows_its_members(
    new_layer: Layers, client: redis.Redis
) -> None:
    worker, layer = new_layer(), new_layer()
    with Reader(layer, "ws.P!") as reader:
        for group, socket in itertools.product("gh", "ab"):
            worker.group_add(group, f"ws.P!{socket}")
        worker.send_group("g", {"n": 1})
        reader.wait_for(1, "ws.P!a", "ws.P!b")
        with reader.hang():
            worker.group_discard("g", "ws.P!a")
            worker.group_add("g", "ws.P!c")
            worker.group_discard("h", "ws.P!a")
            worker.group_discard("h", "ws.P!b")
            worker.group_add("i", "ws.P!a")
            lose_journal(layer, client, "ws.P!")
        for n, group in enumerate("ghi"):
            worker.send_group(group, {"n": 10 + n})
        reader.wait_for(10, "ws.P!b", "ws.P!c")
        reader.wait_for(12, "ws.P!a")
        assert reader.numbers("ws.P!a") == [1, 12]
        assert reader.numbers("ws.P!b") == [1, 10]


def test_a_process_that_is_far_behind_with_its_journal_does_not_count_on_it(
    new_layer: Layers, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("commands", "processes"):
        monkeypatch.setattr(f"channels.layers.redis.{module}.RECORDS_AT_ONCE", 2)
    worker, layer = new_layer(), new_layer()
    announce(layer)
    for socket in "abc":
        worker.group_add("g", f"ws.P!{socket}")
    process = layer._receiver.processes._known["ws.P!"]
    process.read_at -= 9
    worker.send("ws.P!a", {"n": 1})
    # That reads a part of it.
    layer.receive(["ws.P!"], block=True)
    assert process.memberships.size() == 1
    process.read_at -= 9
    client.unlink(f"{layer.prefix}journal:ws.P!")
    worker.send_group("g", {"n": 2})
    found = drain(layer, "ws.P!")
    assert sorted(found) == [(f"ws.P!{socket}", {"n": 2}) for socket in "abc"]


def test_a_process_that_counted_as_dead_for_a_while_is_sent_to_again(
    new_layer: Layers, client: redis.Redis
) -> None:
    worker, layer = new_layer(), new_layer()
    for socket in "ab":
        worker.group_add("g", f"ws.P!{socket}")
    announce(layer)
    let_it_be_late(layer, client, "ws.P!")
    worker.send_group("g", {"n": 1})
    assert worker.group_channels("g") == []
    worker.group_discard("g", "ws.P!a")
    lose_journal(layer, client, "ws.P!")
    announce(new_layer(), "ws.Q!")
    announce(layer)
    assert worker.group_channels("g") == ["ws.P!b"]
    worker.send_group("g", {"n": 2})
    assert drain(layer, "ws.P!") == [("ws.P!b", {"n": 2})]


def test_a_process_that_was_buried_alive_puts_its_members_back(
    new_layer: Layers, client: redis.Redis
) -> None:
    worker, layer = new_layer(), new_layer(group_expiry=1000)
    for group, socket in itertools.product("gh", "abc"):
        worker.group_add(group, f"ws.P!{socket}")
    announce(layer)
    let_it_be_dead(layer, client, "ws.P!")
    worker.send_group("g", {"n": 1})
    announce(new_layer(), "ws.Q!")
    assert not any("P!" in key for key in keys(client, layer))
    assert client.zrange(f"{layer.prefix}alive:", 0, -1) == [b"ws.Q!"]
    worker.group_discard("g", "ws.P!a")
    worker.group_add("g", "ws.P!d")
    announce(layer)
    assert sorted(worker.group_channels("g")) == ["ws.P!b", "ws.P!c", "ws.P!d"]
    assert sorted(worker.group_channels("h")) == ["ws.P!a", "ws.P!b", "ws.P!c"]
    worker.send_group("g", {"n": 2})
    assert sorted(drain(layer, "ws.P!")) == [(f"ws.P!{socket}", {"n": 2}) for socket in "bcd"]


def test_what_lapsed_while_a_process_hung_is_not_put_back(
    new_layer: Layers, client: redis.Redis
) -> None:
    worker, layer = new_layer(group_expiry=0.1), new_layer()
    worker.group_add("g", "ws.P!a")
    new_layer().group_add("g", "ws.P!b")
    announce(layer)
    let_it_be_dead(layer, client, "ws.P!")
    announce(new_layer(), "ws.Q!")
    memberships = layer._receiver.processes._known["ws.P!"].memberships
    now = layer._shards[0].clock.now
    wait_until(lambda: len(memberships.groups(now())["g"]) == 1, "a has lapsed")
    announce(layer)
    assert worker.group_channels("g") == ["ws.P!b"]


def test_a_process_that_goes_on_in_the_middle_of_its_burial_loses_nothing(
    new_layer: Layers, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.layers.redis.commands.KEYS_AT_ONCE", 1)
    monkeypatch.setattr("channels.layers.redis.steps.COMMANDS_AT_ONCE", 1)
    for when in range(30):
        process = f"ws.P{when}!"
        worker, layer = new_layer(), new_layer()
        for group in "ghi":
            worker.group_add(group, f"{process}a")
        announce(layer, process)
        let_it_be_dead(layer, client, process)
        burial = worker._receiver.processes.announce(0, "ws.Q!")
        said = next(burial)
        for step in itertools.count():
            if step == when:
                announce(layer, process)
            try:
                said = burial.send(worker._driver.exchange(said))
            except StopIteration:
                break
        if step < when:
            announce(layer, process)
        for group in "ghi":
            assert worker.group_channels(group) == [f"{process}a"], when
            worker.send_group(group, {"n": 1})
            assert drain(layer, process) == [(f"{process}a", {"n": 1})], when
            worker.group_discard(group, f"{process}a")


def test_nothing_of_a_dead_process_remains(new_layer: Layers, client: redis.Redis) -> None:
    worker = new_layer()
    for group, socket in itertools.product("gh", "ab"):
        worker.group_add(group, f"ws.P!{socket}")
        worker.group_add(group, f"ws.Q!{socket}")
    layer = new_layer()
    announce(layer)
    worker.send_group("g", {"n": 1})
    worker.send("ws.P!a", {"n": 2})
    announce(new_layer(), "ws.Q!")
    let_it_be_dead(layer, client, "ws.P!")
    announce(new_layer(), "ws.Q!")
    assert not any("P!" in key for key in keys(client, layer))
    for key in ("group:g", "group:h", "alive:"):
        assert client.zrange(f"{layer.prefix}{key}", 0, -1) == [b"ws.Q!"]


def let_expire(client: redis.Redis, queue: str) -> None:
    """Wait until the first message of a queue has expired."""
    [entry, *_] = client.lrange(queue, 0, 0)
    expires = int(entry[1:].split(b" ")[0])

    def is_over() -> bool:
        seconds, microseconds = client.time()
        return seconds * 1000 + microseconds // 1000 > expires

    wait_until(is_over, "the message has expired")


def test_a_slow_process_that_lives_keeps_its_members_when_its_messages_expire(
    new_layer: Layers, client: redis.Redis
) -> None:
    worker, layer = new_layer(expiry=0.05), new_layer()
    for socket in "ab":
        worker.group_add("g", f"ws.P!{socket}")
    announce(layer)
    worker.send("ws.P!a", {"n": 1})
    let_expire(client, f"{layer.prefix}ws.P!")
    worker.send_group("g", {"n": 2})
    new_layer().group_add("g", "ws.P!c")
    layer._receiver.processes._known["ws.P!"].read_at -= 61
    new_layer().send_group("g", {"n": 3})
    found = drain(layer, "ws.P!")
    assert sorted(name for name, message in found if message["n"] == 3) == [
        f"ws.P!{socket}" for socket in "abc"
    ]
    assert sorted(worker.group_channels("g")) == [f"ws.P!{socket}" for socket in "abc"]


def test_a_full_queue_of_expired_messages_ends_no_membership_of_a_process_that_lives(
    new_layer: Layers, client: redis.Redis
) -> None:
    worker, layer = new_layer(expiry=0.05, capacity=1), new_layer()
    worker.group_add("g", "ws.P!a")
    announce(layer)
    for send in (worker.send, lambda *sending: worker.send_many([Sending(*sending)])):
        worker.send("ws.P!a", {"n": 1})
        let_expire(client, f"{layer.prefix}ws.P!")
        send("ws.P!a", {"n": 2})
        assert worker.group_channels("g") == ["ws.P!a"]
        drain(layer, "ws.P!")
