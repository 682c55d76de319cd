"""The proxy that tests break connections with does what it says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from channels.test.layer_cases.base import InThread

from .. import tcp_proxy
from ..redis_server import RedisServer, find_free_port
from ..tcp_proxy import PATIENCE, TcpProxy


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[TcpProxy]:
    with TcpProxy(redis_server.port) as proxy:
        yield proxy


@contextmanager
def connected(proxy: TcpProxy, timeout: float = 5) -> Iterator[redis.Redis]:
    """A client that connects at once, one time, and does not try again."""
    client = redis.Redis(
        port=proxy.port,
        socket_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        single_connection_client=True,
    )
    with closing(client):
        yield client


def test_it_passes_on_all_of_a_long_message(proxy: TcpProxy) -> None:
    text = b"0123456789" * 300_000
    with connected(proxy) as client:
        assert client.echo(text) == text
    assert text in proxy.requests


def test_connections_are_counted(proxy: TcpProxy) -> None:
    with connected(proxy) as first, connected(proxy) as second:
        first.ping()
        second.ping()
        second.ping()
        assert (proxy.connections, proxy.open_connections) == (2, 2)
    proxy.wait_until(lambda: proxy.open_connections == 0)
    assert proxy.connections == 2


def test_a_cut_reply_belongs_to_a_command_that_was_carried_out(
    proxy: TcpProxy, redis_server: RedisServer
) -> None:
    proxy.cut_reply_to = b"proxy:cut"
    with connected(proxy) as client, connected(proxy) as other:
        other.ping()
        with pytest.raises(redis.ConnectionError):
            client.rpush("proxy:cut", "x")
        other.ping()
    assert proxy.cuts == 1
    with redis_server.client() as client:
        assert client.delete("proxy:cut") == 1


async def test_what_is_cut_is_found_in_pieces_too(proxy: TcpProxy) -> None:
    proxy.cut_reply_to = b"in two pieces"
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    async with asyncio.timeout(PATIENCE):
        writer.write(b"ECHO in-one-piece\r\nECHO 'in two ")
        assert await reader.readline() == b"$12\r\n"
        assert await reader.readline() == b"in-one-piece\r\n"
        writer.write(b"pieces'\r\n")
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


def test_a_reply_that_hangs_keeps_its_connection_and_no_other_one(
    proxy: TcpProxy, redis_server: RedisServer
) -> None:
    proxy.hang_reply_to = b"proxy:hang"
    with connected(proxy) as client, connected(proxy) as other:
        other.ping()
        pushing = InThread(client.rpush, "proxy:hang", "x")
        proxy.wait_until(lambda: proxy.hangs == 1)
        assert proxy.open_connections == 2
        other.ping()
        proxy.hang_reply_to = None
        proxy.cut_all()
        with pytest.raises(redis.ConnectionError):
            pushing.outcome()
    with redis_server.client() as client:
        assert client.delete("proxy:hang") == 1


def test_a_client_that_does_not_wait_for_ever_times_out(proxy: TcpProxy) -> None:
    proxy.hang_reply_to = b"PING"
    with connected(proxy, timeout=0.05) as client, pytest.raises(redis.TimeoutError):
        client.ping()


def test_a_reply_comes_after_the_delay(proxy: TcpProxy) -> None:
    with connected(proxy) as client:
        client.ping()
        proxy.reply_delay = 0.2
        start = time.monotonic()
        client.ping()
        assert time.monotonic() - start >= 0.2


def test_a_delayed_reply_holds_up_no_other_connection(proxy: TcpProxy) -> None:
    with connected(proxy, timeout=30) as client, connected(proxy) as other:
        client.ping()
        other.ping()
        proxy.reply_delay = 25.0
        replies = proxy.replies
        waiting = InThread(client.echo, "late")
        proxy.wait_until(lambda: proxy.replies > replies)
        proxy.reply_delay = 0.0
        other.ping()
        assert waiting.is_alive()
        proxy.cut_all()
        with pytest.raises(redis.ConnectionError):
            waiting.outcome()


async def test_delayed_replies_keep_their_order_also_when_the_delay_ends(proxy: TcpProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    proxy.reply_delay = 0.2
    for number in range(3):
        writer.write(b"ECHO %d\r\n" % number)
        await asyncio.to_thread(proxy.wait_until, lambda: proxy.replies > number)  # noqa: B023
    proxy.reply_delay = 0.0
    writer.write(b"ECHO 3\r\n")
    writer.write_eof()
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b"$1\r\n0\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n"
    writer.close()
    await writer.wait_closed()


def test_cutting_all_ends_a_blocking_pop_and_new_connections_work(
    proxy: TcpProxy, redis_server: RedisServer
) -> None:
    with connected(proxy, timeout=30) as client, redis_server.client() as straight:
        popping = InThread(client.blpop, "proxy:pop")
        proxy.wait_for_request(b"BLPOP")
        proxy.cut_all()
        with pytest.raises(redis.ConnectionError):
            popping.outcome()
        assert proxy.open_connections == 0
        popping = InThread(client.blpop, "proxy:pop")
        proxy.wait_for_request(b"BLPOP", times=2)
        straight.rpush("proxy:pop", "x")
        assert popping.outcome() == (b"proxy:pop", b"x")


def test_refusing_leaves_what_is_connected(proxy: TcpProxy) -> None:
    with connected(proxy) as client:
        proxy.refuse_connections()
        with pytest.raises(redis.ConnectionError, match="refused"), connected(proxy):
            pass
        assert client.ping()
        proxy.accept_connections()
        with connected(proxy) as late:
            assert late.ping()
        assert proxy.connections == 2


def test_a_server_that_is_away_costs_only_the_connection() -> None:
    with TcpProxy(find_free_port()) as proxy:
        for _ in range(2):
            with pytest.raises(redis.ConnectionError), connected(proxy):
                pass
        assert proxy.connections == 2


def test_waiting_in_vain_ends_and_says_for_what(
    proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp_proxy, "PATIENCE", 0.05)
    with pytest.raises(TimeoutError, match="BLPOP"):
        proxy.wait_for_request(b"BLPOP")
