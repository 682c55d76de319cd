"""``http_session`` and ``channel_and_http_session``: the session of the browser behind it all."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings as django_settings

from channels.message import Message
from channels.sessions import channel_and_http_session, channel_session, http_session

from .tools import cookie, http_store, new_http_session, row_exists, socket_message, stored

UNKNOWN_KEY = "abcdefghijklmnopqrstuvwxyz012345"


@http_session
def look(message: Message) -> Any:
    return message.http_session and dict(message.http_session.items())


@channel_and_http_session
def look_with_both(message: Message) -> Any:
    return message.http_session and dict(message.http_session.items())


def test_the_cookie_names_the_session(engine: str) -> None:
    key = new_http_session(a=1).session_key
    assert look(socket_message(headers=cookie(key))) == {"a": 1}


def test_headers_may_be_a_dict(engine: str) -> None:
    value = cookie(new_http_session(a=1).session_key)[0][1]
    assert look(socket_message(headers={"Cookie": value})) == {"a": 1}


def test_the_cookie_may_be_in_the_second_of_two_headers(engine: str) -> None:
    headers = [[b"cookie", b"a=b"], *cookie(new_http_session(a=1).session_key)]
    assert look(socket_message(headers=headers)) == {"a": 1}


@pytest.mark.parametrize("as_type", [str, str.encode])
def test_the_query_string_wins(engine: str, as_type: Any) -> None:
    in_cookie, in_query = new_http_session(a=1), new_http_session(a=2)
    message = socket_message(
        headers=cookie(in_cookie.session_key),
        query_string=as_type(f"b=1&session_key={in_query.session_key}"),
    )
    assert look(message) == {"a": 2}


def test_an_empty_session_key_in_the_query_string_is_none(engine: str) -> None:
    headers = cookie(new_http_session(a=1).session_key)
    assert look(socket_message(headers=headers, query_string=b"session_key=")) == {"a": 1}


@pytest.mark.parametrize("content", [{}, {"headers": []}, {"query_string": b"a=b"}])
def test_without_a_key_there_is_none(content: dict[str, Any]) -> None:
    message = socket_message(**content)
    assert look(message) is None
    assert message.http_session is None


@pytest.mark.parametrize("key", ["short", "with\x00null" * 4, "ümlaut" * 4, "new\nline" * 4])
def test_an_impossible_key_is_no_key(key: str) -> None:
    message = socket_message(query_string=f"session_key={key}")
    look(message)
    assert message.http_session is None


def test_a_modified_session_is_saved(engine: str) -> None:
    @http_session
    def consumer(message: Message) -> None:
        message.http_session["b"] = 2

    key = new_http_session(a=1).session_key
    consumer(socket_message(headers=cookie(key)))
    assert dict(http_store(key).items()) == {"a": 1, "b": 2}


@pytest.mark.parametrize("change", ["__setitem__", "flush", "clear"])
def test_it_never_makes_a_session(engine: str, change: str) -> None:
    @http_session
    def consumer(message: Message) -> None:
        method = getattr(message.http_session, change)
        method("a", 1) if change == "__setitem__" else method()

    message = socket_message(headers=cookie(UNKNOWN_KEY))
    consumer(message)
    assert not http_store().exists(UNKNOWN_KEY)
    assert message.http_session.session_key in (None, UNKNOWN_KEY)


def test_repeating_the_decorator_is_harmless(engine: str) -> None:
    key = new_http_session(a=1).session_key
    assert http_session(look)(socket_message(headers=cookie(key))) == {"a": 1}


def test_later_messages_find_the_http_session_again(engine: str) -> None:
    key = new_http_session(a=1).session_key
    first = socket_message("websocket.connect", headers=cookie(key))
    assert look_with_both(first) == {"a": 1}
    assert stored() == {django_settings.SESSION_COOKIE_NAME: key}
    later = socket_message()
    assert look_with_both(later) == {"a": 1}
    assert later.http_session.session_key == key


def test_without_http_session_there_is_still_a_channel_session(engine: str) -> None:
    message = socket_message()
    assert look_with_both(message) is None
    assert row_exists()
    assert dict(message.channel_session.items()) == {}


def test_the_decorators_stack_in_any_order(engine: str) -> None:
    key = new_http_session(a=1).session_key
    look_with_both(socket_message(headers=cookie(key)))
    for decorate in (http_session, channel_session, channel_and_http_session):
        assert decorate(look_with_both)(socket_message()) == {"a": 1}


def test_both_are_saved_when_the_consumer_raises(engine: str) -> None:
    @channel_and_http_session
    def consumer(message: Message) -> None:
        message.http_session["b"] = 2
        message.channel_session["c"] = 3
        raise KeyError

    key = new_http_session(a=1).session_key
    with pytest.raises(KeyError):
        consumer(socket_message(headers=cookie(key)))
    assert dict(http_store(key).items()) == {"a": 1, "b": 2}
    assert stored()["c"] == 3
