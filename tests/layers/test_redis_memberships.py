"""What memberships cost, how they are prolonged, and what is left of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import redis

from channels.layers.redis import RedisChannelLayer
from channels.layers.redis.command import Command
from channels.layers.redis.commands import batches
from channels.layers.redis.memberships import Memberships
from channels.layers.redis.scripts import RESTORE, SNAPSHOT
from channels.layers.redis.steps import Request
from channels.test.layer_cases.base import drain

from ..redis_server import RedisServer, wait_until
from ..tcp_proxy import TcpProxy

Layers = Callable[..., RedisChannelLayer]


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[TcpProxy]:
    with TcpProxy(redis_server.port) as proxy:
        yield proxy


def say(layer: RedisChannelLayer, commands: Sequence[Command]) -> list[Any]:
    """Many commands of the one shard, in few writes."""
    answers: list[Any] = []
    for part in batches(commands, 1000):
        answers += layer._driver.exchange([Request(0, command) for command in part])
    return answers


def add_many(layer: RedisChannelLayer, group: str, channels: Sequence[str]) -> None:
    layer.group_add(group, channels[0])
    commands = layer._shards[0].commands
    say(layer, [commands.join(group, channel) for channel in channels])


def announce(layer: RedisChannelLayer) -> None:
    layer._driver.drive(layer._receiver.processes.announce(0, "ws.P!"))


def memberships_of(layer: RedisChannelLayer, process: str = "ws.P!") -> Memberships:
    return layer._receiver.processes._known[process].memberships


def was_restored(proxy: TcpProxy) -> bool:
    """Whether a process has put memberships back."""
    said = proxy.requests
    return RESTORE.digest.encode() in said or RESTORE.text.encode() in said


def keys(client: redis.Redis, layer: RedisChannelLayer) -> list[str]:
    return sorted(
        key.decode().removeprefix(layer.prefix) for key in client.scan_iter(layer.prefix + "*")
    )


# What it costs


def test_a_send_to_a_hundred_thousand_members_costs_as_much_as_to_ten(
    new_layer: Layers, client: redis.Redis, proxy: TcpProxy
) -> None:
    direct, worker = new_layer(), new_layer(hosts=[("127.0.0.1", proxy.port)])
    patient = {"socket_timeout": 60}  # so many members take a slow machine a while to tell
    layer = new_layer(hosts=[("127.0.0.1", proxy.port)], connection_kwargs=patient)
    costs, entries = [], []
    for group, number in (("few1", 10), ("many", 100_000)):
        add_many(direct, group, [f"ws.P!{n:06}" for n in range(number)])
        worker.send_group(group, {"n": 0})
        asyncio.run(receive_members(layer, number))
        direct.group_add(group, "ws.P!000000")
        before = len(proxy.requests)
        worker.send_group(group, {"n": 1})
        entries += client.lrange(f"{layer.prefix}ws.P!", 0, -1)
        said = proxy.requests[before:]
        costs.append((said.count(b"\r\nZRANGE\r\n"), said.count(b"\r\nEVAL"), len(said)))
        asyncio.run(receive_members(layer, number))
    assert costs[0] == costs[1]
    assert costs[1][:2] == (1, 1)
    assert len(entries) == 2
    assert len(entries[0]) == len(entries[1])


async def receive_members(layer: RedisChannelLayer, number: int) -> None:
    """Receive one message that is for so many members."""
    [(channels, _)] = await layer.receive_batch_async(["ws.P!"])
    assert len(set(channels)) == len(channels) == number


def test_a_message_to_a_group_that_has_not_changed_for_long_is_received_in_one_command(
    new_layer: Layers, client: redis.Redis, proxy: TcpProxy
) -> None:
    worker, layer = new_layer(), new_layer(hosts=[("127.0.0.1", proxy.port)])
    worker.group_add("g", "ws.P!a")
    layer.receive(["ws.P!"])
    # As if that was longer ago than a journal is kept.
    client.unlink(f"{layer.prefix}journal:ws.P!")
    for n in range(3):
        worker.send_group("g", {"n": n})
        before = len(proxy.requests)
        assert layer.receive(["ws.P!"]) == ("ws.P!a", {"n": n})
        assert proxy.requests[before:].count(b"\r\nEVALSHA\r\n") == 1
        assert b"XRANGE" not in proxy.requests[before:]


def test_a_change_while_a_process_announces_itself_does_not_look_like_a_loss(
    new_layer: Layers, proxy: TcpProxy
) -> None:
    worker, layer = new_layer(), new_layer(hosts=[("127.0.0.1", proxy.port)])
    for n in range(20):
        worker.group_add(f"g{n}", "ws.P!a")
    announce(layer)
    steps = layer._receiver.processes.announce(0, "ws.P!")
    said = next(steps)
    for n in range(20, 40):
        try:
            worker.group_add(f"g{n}", "ws.P!a")
            said = steps.send(layer._driver.exchange(said))
        except StopIteration:
            break
    assert not was_restored(proxy)
    assert len(worker.group_channels("g20")) == 1


def test_changes_that_are_too_many_to_be_read_at_once_do_not_look_like_a_loss(
    new_layer: Layers, proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("commands", "processes"):
        monkeypatch.setattr(f"channels.layers.redis.{module}.RECORDS_AT_ONCE", 2)
    worker, layer = new_layer(), new_layer(hosts=[("127.0.0.1", proxy.port)])
    for n in range(9):
        worker.group_add(f"g{n}", "ws.P!a")
    announce(layer)
    for n in range(8):
        worker.group_discard(f"g{n}", "ws.P!a")
    announce(layer)
    assert not was_restored(proxy)
    worker.send_group("g8", {"n": 1})
    assert drain(layer, "ws.P!") == [("ws.P!a", {"n": 1})]
    assert memberships_of(layer).size() == 1


# Changes that were not read when they should have been


def test_an_answer_that_a_process_did_not_look_at_for_long_is_no_news(
    new_layer: Layers, client: redis.Redis
) -> None:
    worker, layer = new_layer(), new_layer()
    for socket in "ab":
        worker.group_add("g", f"ws.P!{socket}")
    announce(layer)
    worker.send("ws.P!b", {"n": 0})
    steps = layer._receiver.wait(["ws.P!"])
    heard = layer._driver.exchange(next(steps))
    worker.group_discard("g", "ws.P!a")
    client.unlink(f"{layer.prefix}journal:ws.P!")
    layer._receiver.processes._known["ws.P!"].read_at -= 61
    with pytest.raises(StopIteration):
        steps.send(heard)
    worker.send_group("g", {"n": 1})
    assert drain(layer, "ws.P!") == [("ws.P!b", {"n": 1})]


def test_a_change_that_comes_later_than_a_snapshot_with_what_followed_it_is_ignored(
    new_layer: Layers, client: redis.Redis
) -> None:
    worker, layer = new_layer(), new_layer()
    worker.group_add("g", "ws.P!a")
    announce(layer)
    worker.group_add("g", "ws.P!b")
    worker.send("ws.P!a", {"n": 0})
    steps = layer._receiver.wait(["ws.P!"])
    heard = layer._driver.exchange(next(steps))
    worker.group_discard("g", "ws.P!b")
    # Another receiver goes on first, and so late that the journal is gone.
    client.unlink(f"{layer.prefix}journal:ws.P!")
    layer._receiver.processes._known["ws.P!"].read_at -= 61
    announce(layer)
    with pytest.raises(StopIteration):
        steps.send(heard)
    worker.send_group("g", {"n": 1})
    assert drain(layer, "ws.P!") == [("ws.P!a", {"n": 1})]


def test_a_snapshot_that_comes_late_does_not_undo_what_another_receiver_has_read(
    new_layer: Layers,
) -> None:
    worker, layer = new_layer(), new_layer()
    worker.group_add("g", "ws.P!a")
    slow = layer._receiver.processes.announce(0, "ws.P!")
    said = next(slow)
    heard = layer._driver.exchange(said)
    while said[0].command.script is not SNAPSHOT or len(heard[0]) == 1:
        said = slow.send(heard)
        heard = layer._driver.exchange(said)
    worker.group_add("g", "ws.P!b")
    announce(layer)
    read = memberships_of(layer).place
    with pytest.raises(StopIteration):
        slow.send(heard)
    assert memberships_of(layer).place == read
    worker.send_group("g", {"n": 1})
    assert sorted(drain(layer, "ws.P!")) == [("ws.P!a", {"n": 1}), ("ws.P!b", {"n": 1})]


def test_who_was_no_member_gets_nothing_for_having_been_discarded(new_layer: Layers) -> None:
    worker, layer = new_layer(), new_layer()
    worker.group_add("g", "ws.P!a")
    announce(layer)
    # As it knows the server's time by messages only, which may have been slow.
    layer._shards[0].clock._ahead -= 1
    worker.send_group("g", {"n": 1})
    worker.group_discard("g", "ws.P!b")
    # A blocking receive reads the journal on, too.
    assert layer.receive(["ws.P!"], block=True) == ("ws.P!a", {"n": 1})
    assert layer.receive(["ws.P!"]) == (None, None)


# Prolonging, and lapsing


def test_a_refresh_by_another_process_prolongs_members_alone(
    new_layer: Layers, client: redis.Redis
) -> None:
    worker, layer = new_layer(group_expiry=1.5), new_layer()
    stranger = new_layer(group_expiry=1000)
    for group, socket in ("ga", "gb", "ha", "ib"):
        worker.group_add(group, f"ws.P!{socket}")
    announce(layer)
    stranger.group_refresh(["ws.P!a", "ws.P!nobody", "ws.Q!a", "plain"])
    lapsing = ("g", "h", "i")
    wait_until(
        lambda: [worker.group_channels(group) for group in lapsing] == [["ws.P!a"]] * 2 + [[]],
        "b has lapsed",
    )
    for group in lapsing:
        worker.send_group(group, {"n": 1})
    assert drain(layer, "ws.P!") == [("ws.P!a", {"n": 1})] * 2
    assert memberships_of(layer).count(layer._shards[0].clock.now()) == 2
    assert not any("Q!" in key or "nobody" in key for key in keys(client, layer))


def test_a_refresh_of_who_has_just_left_prolongs_nothing(
    new_layer: Layers, client: redis.Redis
) -> None:
    worker = new_layer(group_expiry=10)
    for socket in "ab":
        worker.group_add("g", f"ws.P!{socket}")
    worker.group_discard("g", "ws.P!a")
    lapses = client.zscore(f"{worker.prefix}joined:ws.P!", "g")
    [answer] = say(worker, [new_layer()._shards[0].commands.prolong("g", "ws.P!", ["a"])])
    assert answer == 0
    assert client.zscore(f"{worker.prefix}joined:ws.P!", "g") == lapses


def test_who_lapses_gets_nothing_whatever_the_expiry_of_others_is(new_layer: Layers) -> None:
    layer = new_layer()
    layer.group_add("g", "ws.P!a")
    announce(layer)
    new_layer(group_expiry=0.1).group_add("g", "ws.P!b")
    announce(layer)
    wait_until(lambda: layer.group_channels("g") == ["ws.P!a"], "b has lapsed")
    layer.send_group("g", {"n": 1})
    assert drain(layer, "ws.P!") == [("ws.P!a", {"n": 1})]


# What is left


def test_groups_that_come_and_go_leave_nothing_behind(
    new_layer: Layers, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.layers.redis.commands.JOURNAL_SECONDS", 0.02)
    worker, layer = new_layer(), new_layer()
    announce(layer)
    for n in range(200):
        worker.group_add(f"g{n}", f"ws.P!{n}")
        worker.group_add("everyone", f"ws.P!{n}")
        worker.group_add("everyone", f"ws.P!{n}")
        announce(layer)
        worker.group_discard(f"g{n}", f"ws.P!{n}")
        worker.group_discard("everyone", f"ws.P!{n}")
    announce(layer)
    assert set(keys(client, layer)) <= {"alive:", "journal:ws.P!"}
    wait_until(lambda: keys(client, layer) == ["alive:"], "the journal is gone")
    assert memberships_of(layer).size() == 0


def test_a_group_ends_with_its_last_member_though_others_have_lapsed_there(
    new_layer: Layers, client: redis.Redis
) -> None:
    worker = new_layer()
    worker.group_add("g", "ws.P!a")
    new_layer(group_expiry=0.05).group_add("g", "ws.P!b")
    wait_until(lambda: worker.group_channels("g") == ["ws.P!a"], "b has lapsed")
    worker.group_discard("g", "ws.P!a")
    assert keys(client, worker) == ["journal:ws.P!"]


def test_old_changes_are_forgotten() -> None:
    memberships = Memberships("ws.P!", retention=1000)
    changes = [b"+ g a 99999", b"- g a 99999", b"+ g b 99999"]
    journal = [[b"%d-0" % (1000 + n), [b"c", change]] for n, change in enumerate(changes)]
    memberships.read(journal, now=1500)
    assert memberships.members("g", "1000-0", now=1500) == ["ws.P!a"]
    memberships.read([], now=2002)
    assert len(memberships._recent) == 1
    assert memberships.members("g", "1001-0", now=2002) == []
    memberships.read([], now=2003)
    assert len(memberships._recent) == 0


def test_an_announcement_drops_what_a_journal_has_kept_for_long_but_not_its_end(
    new_layer: Layers, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.layers.redis.commands.JOURNAL_SECONDS", 0.5)
    worker, layer = new_layer(), new_layer()
    for n in range(250):
        worker.group_add(f"g{n}", "ws.P!a")
    journal = f"{layer.prefix}journal:ws.P!"
    [(last, _)] = client.xrevrange(journal, count=1)

    def is_dropped() -> bool:
        announce(layer)
        return client.xlen(journal) < 100

    wait_until(is_dropped, "old records are dropped")
    assert [place for place, _ in client.xrevrange(journal, count=1)] == [last]


def test_members_that_lapse_are_forgotten_though_nobody_sends_to_them(
    new_layer: Layers,
) -> None:
    layer = new_layer(group_expiry=1)
    for n in range(20):
        layer.group_add("g", f"ws.P!{n}")
    announce(layer)
    memberships = memberships_of(layer)
    assert len(memberships._groups["g"]) == 20
    wait_until(lambda: layer.group_channels("g") == [], "all have lapsed")
    new_layer().group_add("g", "ws.P!new")
    announce(layer)
    assert list(memberships._groups["g"]) == ["ws.P!new"]
