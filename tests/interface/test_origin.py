"""Which origins may open sockets."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from channels import conf
from channels.interface.origin import refusal


def scope(*origins: bytes, host: bytes | None = b"example.com", scheme: str = "ws") -> Any:
    headers = [(b"Origin", origin) for origin in origins]
    if host is not None:
        headers.append((b"host", host))
    return {"scheme": scheme, "headers": headers}


@pytest.fixture(autouse=True)
def no_hosts(settings: Any) -> None:
    settings.ALLOWED_HOSTS = []


def test_no_origin_is_no_browser() -> None:
    assert refusal(scope()) is None


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (b"http://example.com", b"example.com"),
        (b"http://example.com", b"example.com:80"),
        (b"http://example.com:80", b"example.com"),
        (b"http://EXAMPLE.com", b"example.COM."),
        (b"http://example.com:8000", b"example.com:8000"),
        (b"http://[::1]:8000", b"[::1]:8000"),
        (b"https://example.com", b"example.com:443"),
    ],
)
def test_the_same_host_passes(origin: bytes, host: bytes) -> None:
    assert refusal(scope(origin, host=host)) is None


def test_the_same_host_passes_behind_a_proxy_that_ends_tls() -> None:
    assert refusal(scope(b"https://example.com", host=b"example.com", scheme="ws")) is None


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (b"http://example.com:8001", b"example.com:8000"),
        (b"http://example.com", b"example.com:8000"),
        (b"http://evil.example", b"example.com"),
        (b"http://example.com.evil.example", b"example.com"),
        (b"http://evilexample.com", b"example.com"),
        (b"http://example.com", b""),
        (b"http://example.com", None),
        (b"null", b"example.com"),
        (b"file://", b"example.com"),
    ],
)
def test_another_host_is_refused(origin: bytes, host: bytes | None) -> None:
    assert "CHANNELS_ALLOWED_ORIGINS" in str(refusal(scope(origin, host=host)))


@pytest.mark.parametrize(
    "origin",
    [
        b"",
        b"example.com",
        b"http://",
        b"http://example.com/path",
        b"http://example.com?x",
        b"http://user@example.com",
        b"http://example.com:port",
        b"http://[::1",
        b"http://exampl\xe9.com",
    ],
)
def test_a_malformed_origin_is_refused(origin: bytes) -> None:
    assert "malformed" in str(refusal(scope(origin)))


def test_several_origins_are_refused() -> None:
    twice = scope(b"http://example.com", b"http://example.com")
    assert "several" in str(refusal(twice))


@pytest.mark.parametrize(
    ("entry", "origin", "passes"),
    [
        ("other.com", b"https://other.com:1234", True),
        ("OTHER.com", b"https://other.com", True),
        ("other.com", b"https://sub.other.com", False),
        (".other.com", b"https://sub.other.com", True),
        (".other.com", b"https://other.com", True),
        (".other.com", b"https://another.com", False),
        ("other.com:8443", b"https://other.com:8443", True),
        ("other.com:8443", b"https://other.com", False),
        ("https://other.com:8443", b"https://other.com:8443", True),
        ("https://other.com:8443", b"http://other.com:8443", False),
        ("https://other.com", b"https://other.com:443", True),
        ("https://other.com", b"https://other.com:8443", False),
        ("https://*.other.com", b"https://sub.other.com", True),
        ("[::1]", b"http://[::1]:3000", True),
        ("::1", b"http://[::1]:3000", True),
        ("null", b"null", True),
        ("file://", b"file://", True),
        ("*", b"http://anything.example", True),
        ("*", b"malformed", True),
        ("*", b"null", True),
        ("bad:port", b"http://bad", False),
        ("http://[", b"http://bad", False),
    ],
)
def test_the_setting_allows_hosts_and_origins(
    settings: Any, entry: str, origin: bytes, passes: bool
) -> None:
    settings.CHANNELS_ALLOWED_ORIGINS = ["unrelated.example", entry]
    assert (refusal(scope(origin)) is None) is passes


def test_allowed_hosts_count_without_the_setting_only(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["other.com"]
    assert refusal(scope(b"http://other.com")) is None
    settings.CHANNELS_ALLOWED_ORIGINS = []
    assert refusal(scope(b"http://other.com")) is not None


@pytest.mark.parametrize(
    "origin",
    [b"http://localhost:3000", b"http://x.localhost", b"http://127.0.0.1", b"http://[::1]"],
)
def test_this_machine_passes_with_debug(settings: Any, origin: bytes) -> None:
    assert refusal(scope(origin)) is not None
    settings.DEBUG = True
    assert refusal(scope(origin)) is None


def test_a_setting_that_is_a_string_is_named(settings: Any) -> None:
    settings.CHANNELS_WS_PROTOCOLS = "chat"
    with pytest.raises(ImproperlyConfigured, match=r"CHANNELS_WS_PROTOCOLS .* \['chat'\]"):
        conf.ws_protocols()
