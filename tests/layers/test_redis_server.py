"""The Redis servers that tests start, break and stop."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from channels.test.layer_cases.base import InThread

from ..certificates import Certificates
from ..redis_server import RedisServer, find_bundled_redis_server, find_free_port, wait_until


def test_ports_are_not_given_twice() -> None:
    ports = [find_free_port() for _ in range(100)]
    assert len(set(ports)) == 100


def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(RuntimeError, match="no-such-directive"):
        RedisServer("no-such-directive 1").start()


def test_the_variable_names_the_binary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNELS_TEST_REDIS_SERVER", find_bundled_redis_server())
    with RedisServer() as server, server.client() as client:
        assert client.info("server")["redis_version"].startswith("6.2")
    monkeypatch.setenv("CHANNELS_TEST_REDIS_SERVER", "no-such-server")
    with pytest.raises(RuntimeError, match="CHANNELS_TEST_REDIS_SERVER"):
        RedisServer()


def test_the_bundled_server_is_the_oldest_version_that_is_supported(
    bundled_redis_server: RedisServer,
) -> None:
    with bundled_redis_server.client() as client:
        assert client.info("server")["redis_version"].startswith("6.2")


def test_a_restart_keeps_the_port_and_no_data() -> None:
    with RedisServer() as server:
        with server.client() as client:
            client.set("a", 1)
        server.restart()
        with server.client() as client:
            assert client.dbsize() == 0


def test_a_password_is_asked_for_and_part_of_the_url() -> None:
    with RedisServer(password="secret") as server:
        stranger = server.client(password=None, retry=Retry(NoBackoff(), 0))
        with stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        with redis.Redis.from_url(server.url) as client, server.client() as other:
            assert client.ping()
            assert other.ping()


def test_a_socket_and_users_of_the_access_list_are_options(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with (
        RedisServer(f"unixsocket {path}", "user ann on >pass ~a* &* +@all"),
        redis.Redis(unix_socket_path=str(path), username="ann", password="pass") as client,
    ):
        client.set("a", 1)
        with pytest.raises(redis.ResponseError, match="permission"):
            client.set("b", 1)


def test_a_paused_server_takes_connections_and_says_nothing_until_it_goes_on() -> None:
    with RedisServer() as server:
        server.pause()
        hasty = server.client(socket_timeout=0.05, retry=Retry(NoBackoff(), 0))
        with hasty, pytest.raises(redis.TimeoutError):
            hasty.ping()
        with server.client() as client:
            ping = InThread(client.ping)
            server.resume()
            assert ping.outcome() is True


def test_a_paused_server_can_be_stopped_and_started() -> None:
    with RedisServer() as server:
        server.pause()
        process = server._process
        server.restart()
        assert process
        assert process.returncode == 0
        assert server.ask("PING")
        server.pause()


def test_a_killed_server_is_gone_at_once_and_can_be_started() -> None:
    with RedisServer() as server:
        server.kill()
        assert not server.is_running
        with pytest.raises(redis.ConnectionError):
            server.ask("PING")
        server.start()
        assert server.ask("PING")


def test_over_tls_both_sides_show_certificates(
    redis_tls: RedisServer, certificates: Certificates
) -> None:
    assert redis_tls.url.startswith("rediss://127.0.0.1:")
    for host in ("127.0.0.1", "localhost"):
        with redis_tls.client(host=host) as client:
            assert client.ping()
    with redis.Redis.from_url(redis_tls.url, **certificates.client_options()) as client:
        assert client.ping()


def test_over_tls_a_stranger_is_refused(
    redis_tls: RedisServer, certificates: Certificates
) -> None:
    only_once = {"retry": Retry(NoBackoff(), 0)}
    without_certificate = {"ssl_ca_certs": str(certificates.authority)} | only_once
    for options in ({}, only_once | {"ssl_cert_reqs": ssl.CERT_NONE}, without_certificate):
        with (
            redis.Redis.from_url(redis_tls.url, **options) as client,
            pytest.raises(redis.ConnectionError),
        ):
            client.ping()


def test_waiting_in_vain_ends_and_says_for_what(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> bool:
        raise redis.ResponseError("not yet")

    monkeypatch.setattr("tests.redis_server.PATIENCE", 0.05)
    with pytest.raises(TimeoutError, match=r"the moon is full.*not yet"):
        wait_until(fail, "the moon is full")
