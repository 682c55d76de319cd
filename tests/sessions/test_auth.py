"""The user behind a socket."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import auth
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.models import Session
from django.http import HttpRequest

from channels.auth import (
    channel_and_http_session_user_from_http,
    channel_session_user,
    channel_session_user_from_http,
    http_session_user,
    transfer_user,
)
from channels.message import Message
from channels.sessions import channel_session, enforce_ordering, session_for_reply_channel

from .tools import (
    REPLY_CHANNEL,
    cookie,
    http_store,
    new_http_session,
    row_exists,
    socket_message,
    stored,
)

pytestmark = pytest.mark.django_db

FROM_HTTP = [channel_session_user_from_http, channel_and_http_session_user_from_http]
ALL = [*FROM_HTTP, channel_session_user, http_session_user]
AUTH_KEYS = {"_auth_user_id", "_auth_user_backend", "_auth_user_hash"}


def who(message: Message) -> Any:
    return message.user


@pytest.fixture
def user() -> User:
    return User.objects.create_user("pony", password="old")


@pytest.fixture
def http_session(user: User) -> Any:
    """A session that the user logged in to on the web site."""
    request = HttpRequest()
    request.session = http_store()
    auth.login(request, user)
    request.session.save()
    return request.session


@pytest.fixture
def connected(http_session: Any) -> Any:
    """The user's browser has opened the socket."""
    connect = socket_message("websocket.connect", headers=cookie(http_session.session_key))
    return channel_session_user_from_http(who)(connect)


@pytest.mark.parametrize("decorator", [*FROM_HTTP, http_session_user])
def test_the_user_of_the_web_site_is_the_user(
    decorator: Any, http_session: Any, user: User
) -> None:
    message = socket_message(headers=cookie(http_session.session_key))
    assert decorator(who)(message) == user


@pytest.mark.parametrize("decorator", ALL)
def test_without_a_session_the_user_is_anonymous(decorator: Any) -> None:
    assert isinstance(decorator(who)(socket_message()), AnonymousUser)


@pytest.mark.parametrize("decorator", ALL)
def test_a_session_without_a_user_is_anonymous(decorator: Any) -> None:
    message = socket_message(headers=cookie(new_http_session(a=1).session_key))
    assert isinstance(decorator(who)(message), AnonymousUser)
    assert not AUTH_KEYS & set(stored())


@pytest.mark.parametrize("from_http", FROM_HTTP)
def test_later_messages_find_the_user_too(from_http: Any, http_session: Any, user: User) -> None:
    from_http(who)(socket_message(headers=cookie(http_session.session_key)))
    assert channel_session_user(who)(socket_message()) == user
    assert from_http(who)(socket_message()) == user


def test_later_messages_find_the_http_session_too(http_session: Any) -> None:
    consumer = channel_and_http_session_user_from_http(
        lambda message: message.http_session.session_key
    )
    consumer(socket_message(headers=cookie(http_session.session_key)))
    assert consumer(socket_message()) == http_session.session_key


def test_nobody_is_looked_up_for_a_consumer_that_does_not_ask(
    connected: Any, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):  # the session
        channel_session_user(lambda message: None)(socket_message())


@pytest.mark.usefixtures("connected")
def test_a_changed_password_logs_the_socket_out(user: User) -> None:
    user.set_password("new")
    user.save()
    assert isinstance(channel_session_user(who)(socket_message()), AnonymousUser)
    message = socket_message()
    channel_session_user(lambda message: message.user.is_authenticated)(message)
    assert not AUTH_KEYS & set(stored())


@pytest.mark.usefixtures("connected")
def test_a_rotated_secret_key_keeps_the_socket_logged_in(user: User, settings: Any) -> None:
    before = stored()["_auth_user_hash"]
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    consumer = channel_session_user(lambda message: message.user.is_authenticated)
    assert consumer(socket_message()) is True
    assert stored()["_auth_user_hash"] != before


@pytest.mark.usefixtures("connected")
def test_an_inactive_user_is_anonymous(user: User) -> None:
    user.is_active = False
    user.save()
    assert isinstance(channel_session_user(who)(socket_message()), AnonymousUser)


@pytest.mark.usefixtures("connected")
def test_a_deleted_user_is_anonymous(user: User) -> None:
    user.delete()
    assert channel_session_user(who)(socket_message()) == AnonymousUser()


@pytest.mark.usefixtures("connected")
def test_logging_out_in_a_consumer_changes_the_user_at_once_and_for_good() -> None:
    @channel_session_user
    def consumer(message: Any) -> None:
        assert message.user.is_authenticated
        auth.logout(message)
        assert not message.user.is_authenticated

    consumer(socket_message())
    assert not row_exists()
    assert channel_session_user(who)(socket_message()) == AnonymousUser()


def test_logging_in_in_a_consumer_changes_the_user_at_once_and_for_good(user: User) -> None:
    @channel_session_user
    def consumer(message: Any) -> None:
        message.channel_session["a"] = 1
        assert not message.user.is_authenticated
        auth.login(message, user)
        assert message.user == user

    consumer(socket_message())
    assert channel_session_user(who)(socket_message()) == user
    assert set(stored()) == {"a", *AUTH_KEYS}
    assert Session.objects.count() == 1


@pytest.mark.usefixtures("connected")
def test_logging_in_as_another_user_drops_what_the_first_one_left() -> None:
    other = User.objects.create_user("horse")

    @channel_session_user
    def consumer(message: Any) -> None:
        message.channel_session["secret"] = "of the first"
        auth.login(message, other)

    consumer(socket_message())
    assert channel_session_user(who)(socket_message()) == other
    assert set(stored()) == AUTH_KEYS


@pytest.mark.usefixtures("connected")
def test_logging_out_does_not_stop_an_ordered_socket() -> None:
    @enforce_ordering
    @channel_session_user
    def consumer(message: Any) -> Any:
        auth.logout(message)
        return message["order"]

    assert [consumer(socket_message(order=order)) for order in (0, 1)] == [0, 1]


def test_logging_out_of_the_http_session_does_not_bring_it_back(http_session: Any) -> None:
    consumer = http_session_user(lambda message: auth.logout(message))
    consumer(socket_message(headers=cookie(http_session.session_key)))
    assert not http_store().exists(http_session.session_key)


@pytest.mark.parametrize("decorator", ALL)
def test_decorators_repeat_and_stack(decorator: Any, http_session: Any, user: User) -> None:
    consumer = http_session_user(decorator(decorator(channel_session(who))))
    assert consumer(socket_message(headers=cookie(http_session.session_key))) in (
        user,
        AnonymousUser(),
    )
    assert (
        decorator(channel_session_user_from_http(who))(
            socket_message(headers=cookie(http_session.session_key))
        )
        == user
    )


@pytest.mark.parametrize("decorator", ALL)
def test_methods_can_be_decorated(decorator: Any) -> None:
    class Consumers:
        @decorator
        def receive(self, message: Message) -> Any:
            return message.user

    assert Consumers().receive(socket_message()) == AnonymousUser()


@pytest.mark.parametrize("decorator", ALL)
def test_without_a_message_the_decorator_is_named(decorator: Any) -> None:
    with pytest.raises(ValueError, match=r"_user.* called without Message instance"):
        decorator(who)(1)


def test_transfer_user_copies_the_user_only(http_session: Any) -> None:
    http_session["secret"] = 1
    to_session = session_for_reply_channel(REPLY_CHANNEL)
    transfer_user(http_session, to_session)
    assert dict(to_session.items()) == {key: http_session[key] for key in AUTH_KEYS}


@pytest.mark.parametrize("missing", sorted(AUTH_KEYS))
def test_transfer_user_copies_all_or_nothing(http_session: Any, missing: str) -> None:
    del http_session[missing]
    to_session = session_for_reply_channel(REPLY_CHANNEL)
    transfer_user(http_session, to_session)
    assert dict(to_session.items()) == {}
