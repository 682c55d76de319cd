"""``channel_session``: a session that belongs to a socket."""

from __future__ import annotations

import datetime
import hashlib
import threading
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.contrib.sessions.models import Session
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from channels.exceptions import ConsumeLater
from channels.message import Message
from channels.sessions import channel_session, session_for_reply_channel
from channels.sessions.store import ChannelSession

from .tools import REPLY_CHANNEL, at_once, http_store, row_exists, socket_message, stored


@channel_session
def put(message: Message, **values: Any) -> None:
    message.channel_session.update(values)


@channel_session
def look(message: Message) -> dict[str, Any]:
    return dict(message.channel_session.items())


def test_what_one_consumer_stores_the_next_one_finds(engine: str) -> None:
    put(socket_message(), ponies=3)
    assert look(socket_message()) == {"ponies": 3}


def test_the_session_belongs_to_one_socket(engine: str) -> None:
    put(socket_message(), ponies=3)
    assert look(Message({"reply_channel": "websocket.send.process!other"}, None, None)) == {}


def test_the_key_is_made_of_the_reply_channel(engine: str) -> None:
    key = "chn" + hashlib.sha1(REPLY_CHANNEL.encode()).hexdigest()[:29]
    message = socket_message()
    put(message, a=1)
    assert message.channel_session.session_key == key
    assert session_for_reply_channel(REPLY_CHANNEL).session_key == key


def test_who_knows_the_name_of_a_channel_cannot_use_its_session_in_a_browser(
    engine: str,
) -> None:
    put(socket_message(), a=1)
    key = session_for_reply_channel(REPLY_CHANNEL).session_key
    assert "a" not in http_store(key)
    assert stored() == {"a": 1}


def test_an_engine_that_is_not_there_is_an_error_that_names_the_setting(settings: Any) -> None:
    settings.CHANNEL_SESSION_ENGINE = "nowhere.sessions"
    with pytest.raises(ImproperlyConfigured, match=r"CHANNEL_SESSION_ENGINE 'nowhere"):
        session_for_reply_channel(REPLY_CHANNEL)


def test_a_session_can_be_prepared_for_a_channel(engine: str) -> None:
    session = session_for_reply_channel(REPLY_CHANNEL)
    session["a"] = 1
    session.save()
    assert look(socket_message()) == {"a": 1}


def test_it_is_saved_when_the_consumer_raises(engine: str) -> None:
    @channel_session
    def consumer(message: Message) -> None:
        message.channel_session["a"] = 1
        raise KeyError("broken")

    with pytest.raises(KeyError, match="broken"):
        consumer(socket_message())
    assert stored() == {"a": 1}


def test_it_is_not_saved_when_nothing_was_modified(engine: str) -> None:
    @channel_session
    def slow(message: Message) -> None:
        assert message.channel_session["a"] == 1
        put(socket_message(), a=2)

    put(socket_message(), a=1)
    slow(socket_message())
    assert stored() == {"a": 2}


@pytest.mark.parametrize("logout", ["flush", "clear"])
def test_logging_out_is_not_undone_by_the_save(engine: str, logout: str) -> None:
    @channel_session
    def consumer(message: Message) -> None:
        getattr(message.channel_session, logout)()

    put(socket_message(), secret="s")
    consumer(socket_message())
    assert stored() == {}
    assert look(socket_message()) == {}


def test_what_is_stored_after_a_flush_is_kept(engine: str) -> None:
    @channel_session
    def consumer(message: Message) -> None:
        message.channel_session.flush()
        message.channel_session["b"] = 2

    put(socket_message(), a=1)
    consumer(socket_message())
    assert stored() == {"b": 2}


def test_a_new_key_for_the_session_changes_neither_key_nor_data(engine: str) -> None:
    @channel_session
    def consumer(message: Message) -> None:
        message.channel_session.cycle_key()
        message.channel_session["b"] = 2

    put(socket_message(), a=1)
    consumer(socket_message())
    assert stored() == {"a": 1, "b": 2}


def test_a_session_that_ended_meanwhile_is_not_revived(
    engine: str, caplog: pytest.LogCaptureFixture
) -> None:
    @channel_session
    def consumer(message: Message) -> None:
        message.channel_session["a"] = 1
        session_for_reply_channel(REPLY_CHANNEL).delete()

    consumer(socket_message())
    assert not row_exists()
    assert "was not saved" in caplog.text


def test_an_empty_session_without_a_row_says_so(engine: str) -> None:
    session = session_for_reply_channel(REPLY_CHANNEL)
    assert session.is_empty()
    session.save()
    assert not session.is_empty()


def test_deleting_another_session_leaves_this_one(engine: str) -> None:
    put(socket_message(), a=1)
    session = session_for_reply_channel(REPLY_CHANNEL)
    session.load()
    session.delete(session_for_reply_channel("another").session_key)
    assert session.stored


def test_repeating_the_decorator_is_harmless(engine: str) -> None:
    @channel_session
    @channel_session
    def consumer(message: Message) -> str:
        message.channel_session["a"] = message.channel_session.get("a", 0) + 1
        return "result"

    assert consumer(socket_message()) == "result"
    assert stored() == {"a": 1}


def test_a_message_can_be_consumed_twice(engine: str) -> None:
    message = socket_message()
    put(message, a=1)
    put(message, b=2)
    assert stored() == {"a": 1, "b": 2}


def test_methods_can_be_decorated(engine: str) -> None:
    class Consumers:
        @channel_session
        def receive(self, message: Message, name: str) -> None:
            message.channel_session["name"] = name

    Consumers().receive(socket_message(), name="pony")
    assert stored() == {"name": "pony"}


def test_the_decorated_consumer_looks_like_the_consumer() -> None:
    @channel_session
    def consumer(message: Message) -> None:
        """What it does."""

    assert (consumer.__name__, consumer.__doc__) == ("consumer", "What it does.")


def test_without_a_message_it_says_so() -> None:
    with pytest.raises(ValueError, match=r"^channel_session called without Message instance$"):
        put(1, 2, socket_message())


def test_without_a_reply_channel_it_says_so() -> None:
    with pytest.raises(ValueError, match="no reply_channel"):
        put(Message({}, "websocket.receive", None))


@pytest.mark.parametrize("setting", ["SESSION_ENGINE", "CHANNEL_SESSION_ENGINE"])
def test_signed_cookies_are_refused_by_name(settings: Any, setting: str) -> None:
    setattr(settings, setting, "django.contrib.sessions.backends.signed_cookies")
    with pytest.raises(ValueError, match=f"as {setting} asks for.*Set CHANNEL_SESSION_ENGINE"):
        put(socket_message())


@pytest.mark.usefixtures("file_sessions")
def test_channel_sessions_may_have_an_engine_of_their_own(settings: Any) -> None:
    settings.CHANNEL_SESSION_ENGINE = settings.SESSION_ENGINE
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    put(socket_message(), a=1)
    assert look(socket_message()) == {"a": 1}


@pytest.mark.usefixtures("file_sessions")
def test_of_two_consumers_that_make_it_at_once_one_is_consumed_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both_have_looked = threading.Barrier(2)
    load = ChannelSession.load

    def load_together(self: ChannelSession) -> dict[str, Any]:
        data = load(self)
        if not self.stored and both_have_looked.n_waiting < 2 and not both_have_looked.broken:
            both_have_looked.wait(timeout=10)
        return data

    monkeypatch.setattr(ChannelSession, "load", load_together)
    errors = at_once(lambda: put(socket_message(), a=1), lambda: put(socket_message(), a=1))
    assert sorted(type(error).__name__ for error in errors) == ["ConsumeLater", "NoneType"]
    assert isinstance(next(filter(None, errors)), ConsumeLater)
    assert stored() == {"a": 1}


@pytest.mark.django_db
def test_a_row_that_has_expired_gives_way_to_a_new_one() -> None:
    put(socket_message(), old=True)
    Session.objects.update(expire_date=timezone.now() - datetime.timedelta(days=1))
    put(socket_message(), new=True)
    assert stored() == {"new": True}


@pytest.mark.usefixtures("file_sessions")
def test_a_file_that_has_expired_gives_way_to_a_new_one(settings: Any) -> None:
    put(socket_message(), old=True)
    settings.SESSION_COOKIE_AGE = -1
    assert look(socket_message()) == {}
    settings.SESSION_COOKIE_AGE = 100
    put(socket_message(), new=True)
    assert stored() == {"new": True}


def test_save_anyway_brings_a_removed_row_back(engine: str) -> None:
    session = session_for_reply_channel(REPLY_CHANNEL)
    session.open()
    session["a"] = 1
    session_for_reply_channel(REPLY_CHANNEL).delete()
    session.save_anyway()
    assert stored() == {"a": 1}


def test_save_anyway_takes_a_row_that_another_has_made(engine: str) -> None:
    session = session_for_reply_channel(REPLY_CHANNEL)
    session["a"] = 1
    session_for_reply_channel(REPLY_CHANNEL).create()
    session.save_anyway()
    assert stored() == {"a": 1}


@pytest.mark.usefixtures("file_sessions")
def test_a_file_is_there_only_when_it_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or else somebody could save the session, and its maker's data would replace that."""
    seen: list[bool] = []
    session = session_for_reply_channel(REPLY_CHANNEL)
    encode = session.encode
    monkeypatch.setattr(session, "encode", lambda data: seen.append(row_exists()) or encode(data))
    session.create()
    assert seen == [False]
    assert row_exists()
    directory = Path(session._key_to_file()).parent  # type: ignore[attr-defined]
    assert len(list(directory.iterdir())) == 1


@pytest.mark.parametrize("engine", ["cached_db"], indirect=True)
def test_an_old_value_in_the_cache_does_not_hide_what_was_saved(engine: str) -> None:
    put(socket_message(), a=1)
    session: Any = session_for_reply_channel(REPLY_CHANNEL)
    session._cache.set(session.cache_key, {"a": 0})
    assert look(socket_message()) == {"a": 1}


@pytest.mark.usefixtures("file_sessions")
def test_save_anyway_gives_up_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Any, must_create: bool = False) -> None:
        raise UpdateError

    session = session_for_reply_channel(REPLY_CHANNEL)
    session.create()
    monkeypatch.setattr("django.contrib.sessions.backends.file.SessionStore.save", fail)
    with pytest.raises(UpdateError):
        session.save_anyway()


def test_a_session_that_another_has_just_made_is_left_to_it(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_for_reply_channel(REPLY_CHANNEL)
    load = ChannelSession.load

    def load_before_another_makes_it(self: ChannelSession) -> dict[str, Any]:
        monkeypatch.setattr(ChannelSession, "load", load)
        data = load(self)
        put(socket_message(), theirs=1)
        return data

    monkeypatch.setattr(ChannelSession, "load", load_before_another_makes_it)
    with pytest.raises(CreateError):
        session.open()
    assert stored() == {"theirs": 1}
