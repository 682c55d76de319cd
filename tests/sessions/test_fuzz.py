"""Whatever a message holds, the decorators raise nothing but what they promise."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from django.conf import settings as django_settings
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from channels import channel_layers
from channels.auth import channel_and_http_session_user_from_http
from channels.layers.base import BaseChannelLayer
from channels.message import Message
from channels.sessions import enforce_ordering, http_session, wait_channel_name

from .tools import socket_message

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
COOKIES = (st.binary() | st.text().map(str.encode)).map(
    lambda value: [[b"cookie", django_settings.SESSION_COOKIE_NAME.encode() + b"=" + value]]
)
QUERIES = st.binary() | st.text() | st.binary().map(lambda value: b"session_key=" + value)
QUERIES |= st.text().map(lambda value: "session_key=" + value)
LETTERS = "abcXYZ019-_."
NAMES = st.builds(
    lambda first, mark, last: first + mark + last if mark else first,
    st.text(LETTERS, min_size=1, max_size=49),
    st.sampled_from(["", "?", "!"]),
    st.text(LETTERS, min_size=1, max_size=49),
)
DOING_IO = hypothesis_settings(
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@http_session
def use_http_session(message: Message) -> None:
    if message.http_session is not None:
        message.http_session.get("a")
        message.http_session["a"] = 1


@DOING_IO
@given(headers=ANYTHING | COOKIES, query_string=ANYTHING | QUERIES)
def test_any_headers_and_query_strings_give_a_session_or_none(
    engine: str, headers: Any, query_string: Any
) -> None:
    use_http_session(socket_message(headers=headers, query_string=query_string))


@DOING_IO
@given(headers=COOKIES)
@pytest.mark.usefixtures("file_sessions", "layer")
def test_any_cookie_gives_a_user(headers: Any) -> None:
    consumer = channel_and_http_session_user_from_http(
        lambda message: message.user.is_authenticated
    )
    assert consumer(socket_message(headers=headers)) is False


@DOING_IO
@given(order=ANYTHING)
@pytest.mark.usefixtures("file_sessions")
def test_any_order_runs_waits_or_is_refused(layer: Any, order: Any) -> None:
    layer.flush()
    with suppress(ValueError):
        enforce_ordering(lambda message: None)(socket_message(order=order))


@given(NAMES)
def test_every_reply_channel_has_a_wait_channel(name: str) -> None:
    BaseChannelLayer.check_channel(name)
    wait_channel = wait_channel_name(name)
    BaseChannelLayer.check_channel(wait_channel)
    BaseChannelLayer.check_receive_channel(wait_channel)


@DOING_IO
@given(name=NAMES, orders=st.permutations(range(6)))
@pytest.mark.usefixtures("file_sessions")
def test_any_arrival_runs_in_order(layer: Any, name: str, orders: list[int]) -> None:
    ran: list[int] = []
    consumer = enforce_ordering(lambda message: ran.append(message["order"]))
    layer.flush()
    name = f"{name[:40]}.{id(ran)}.{abs(hash(tuple(orders)))}"
    for order in orders:
        layer.send("c", {"reply_channel": name, "order": order})
    while (content := layer.receive(["c"])[1]) is not None:
        consumer(Message(content, "c", channel_layers["default"]))
    assert ran == sorted(orders)
