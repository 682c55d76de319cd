"""Origin validators: only pages of the project's own hosts may connect."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.exceptions import DenyConnection
from channels.message import Message
from channels.security.websockets import (
    AllowedHostsOnlyOriginValidator,
    BaseOriginValidator,
    allowed_hosts_only,
)


@allowed_hosts_only
def connect(message: Message, room: str = "") -> str:
    """Accept."""
    return "connected" + room


def message_with(headers: Any) -> Message:
    return Message({"reply_channel": "r", "headers": headers}, "websocket.connect", None)


def connect_from(origin: bytes) -> str:
    return connect(message_with([[b"host", b"ours.com"], [b"origin", origin]]))


@pytest.fixture(autouse=True)
def _hosts(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["ours.com", ".wild.com", "[2001:db8::1]", "UPPER.com"]


@pytest.mark.parametrize(
    "origin",
    [
        b"http://ours.com",
        b"https://ours.com:8443",
        b"HTTPS://OURS.com",
        b"http://ours.com.",
        b"http://wild.com",
        b"http://a.b.wild.com",
        b"http://[2001:db8::1]",
        b"http://[2001:DB8::1]:80",
        b"http://upper.com",
    ],
)
def test_an_allowed_host_may_connect(origin: bytes) -> None:
    assert connect_from(origin) == "connected"


@pytest.mark.parametrize(
    "origin",
    [
        b"http://theirs.com",
        b"http://ours.com.theirs.com",
        b"http://notwild.com",
        b"http://ours.com@theirs.com",
        b"http://theirs.com/ours.com",
        b"http://theirs.com#ours.com",
        b"",
        b"null",
        b"file://",
        b"ours.com",
        b"//ours.com",
        b"://ours.com",
        b"http:ours.com",
        b"http://",
        b"http://[2001:db8::1",
        b"http://ours.com:port",
        b"http://ours.com\n",
        "http://ours.com\u00e9".encode(),
        b"\xff\xfe",
    ],
)
def test_other_origins_are_denied(origin: bytes) -> None:
    with pytest.raises(DenyConnection):
        connect_from(origin)


@pytest.mark.parametrize(
    "headers",
    [
        None,
        [],
        {},
        "origin",
        [[b"host", b"ours.com"]],
        [[b"origin"]],
        [[b"origin", None]],
        [[b"origin", b"http://ours.com"], [b"Origin", b"http://ours.com"]],
    ],
)
def test_without_a_single_origin_it_is_denied(headers: Any) -> None:
    with pytest.raises(DenyConnection):
        connect(message_with(headers))


def test_a_message_without_headers_is_denied() -> None:
    with pytest.raises(DenyConnection):
        connect(Message({}, "websocket.connect", None))


@pytest.mark.parametrize(
    "headers",
    [
        [b"", [b"origin"], None, 3, [b"Origin", b"http://ours.com"]],
        [("origin", "http://ours.com")],
        {"Origin": b"http://ours.com"},
    ],
)
def test_malformed_headers_are_skipped_and_names_have_any_case(headers: Any) -> None:
    assert connect(message_with(headers)) == "connected"


def test_debug_without_hosts_means_this_machine(settings: Any) -> None:
    settings.ALLOWED_HOSTS = []
    settings.DEBUG = True
    for host in (b"localhost:8000", b"127.0.0.1", b"[::1]:8000"):
        assert connect_from(b"http://" + host) == "connected"
    with pytest.raises(DenyConnection):
        connect_from(b"http://ours.com")


def test_without_debug_and_without_hosts_nobody_may_connect(settings: Any) -> None:
    settings.ALLOWED_HOSTS = []
    with pytest.raises(DenyConnection):
        connect_from(b"http://localhost")


def test_a_star_allows_every_host_but_no_hostless_origin(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    assert connect_from(b"http://theirs.com") == "connected"
    with pytest.raises(DenyConnection):
        connect_from(b"null")


def test_methods_and_captures_work() -> None:
    class Consumers:
        name = "of this instance"

        @allowed_hosts_only
        def connect(self, message: Message, room: str) -> str:
            return self.name + room

    message = message_with([[b"origin", b"http://ours.com"]])
    assert Consumers().connect(message, room="!") == "of this instance!"
    assert isinstance(Consumers.connect, AllowedHostsOnlyOriginValidator)
    assert connect(message, room="!") == "connected!"


def test_the_decorated_consumer_looks_like_the_consumer() -> None:
    assert (connect.__name__, connect.__doc__) == ("connect", "Accept.")


def test_without_a_message_it_says_so() -> None:
    with pytest.raises(ValueError, match="called without Message instance"):
        connect("message")


def test_subclasses_say_what_is_valid() -> None:
    class Secure(BaseOriginValidator):
        def validate_origin(self, message: Message, origin: str) -> bool:
            return origin.startswith("https") and self.get_header(message, b"X-Key") == [b"k"]

    @Secure
    def consumer(message: Message) -> str:
        return "connected"

    headers = [[b"origin", b"https://a"], [b"x-key", b"k"]]
    assert consumer(message_with(headers)) == "connected"
    headers[0][1] = b"http://a"
    with pytest.raises(DenyConnection):
        consumer(message_with(headers))


def test_the_base_has_no_opinion_and_a_missing_header_is_named() -> None:
    validator = BaseOriginValidator(connect)
    message = message_with([[b"origin", b"http://ours.com"]])
    with pytest.raises(NotImplementedError):
        validator(message)
    with pytest.raises(KeyError, match="x-key"):
        validator.get_header(message, b"x-key")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
ORIGINS = (
    st.binary() | st.text().map(str.encode) | st.from_regex(r"\A[a-z]+://[^/]*\Z").map(str.encode)
)


@given(ANYTHING | ORIGINS.map(lambda origin: [[b"origin", origin]]))
def test_whatever_the_headers_are_it_connects_or_is_denied(headers: Any) -> None:
    with suppress(DenyConnection):
        assert connect(message_with(headers)) == "connected"
