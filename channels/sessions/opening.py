"""Opening the sessions of a message, and saving them when its consumer has ended."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from urllib.parse import parse_qs

from django.conf import settings
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.http.cookie import parse_cookie

from ..channel import Channel
from ..exceptions import ConsumeLater
from ..headers import header_values
from ..message import Message
from ..utils import as_text
from .store import ChannelSession, session_for_reply_channel

logger = logging.getLogger("django.channels")


@contextmanager
def opened_channel_session(message: Message) -> Iterator[ChannelSession]:
    """``message.channel_session``, made when it is new and saved at the end when it was modified.

    Raises ``ConsumeLater`` when another consumer is just making it, and ``ValueError`` for a
    message without a reply channel.
    """
    session: ChannelSession | None = getattr(message, "channel_session", None)
    if session is None:
        session = session_for_reply_channel(reply_channel_of(message).name)
        try:
            session.open()
        except CreateError as error:
            raise ConsumeLater from error
        message.channel_session = session  # type: ignore[attr-defined]
    try:
        yield session
    finally:
        _save(session)


@contextmanager
def opened_http_session(
    message: Message, known_key: str | None = None
) -> Iterator[SessionBase | None]:
    """``message.http_session``, saved at the end when it was modified; ``None`` without a key.

    ``known_key`` counts when the message itself has no key.
    """
    session: SessionBase | None = getattr(message, "http_session", None)
    if session is None:
        key = _http_session_key(message) or known_key
        session = _http_session(key) if key else None
        message.http_session = session  # type: ignore[attr-defined]
    try:
        yield session
    finally:
        if session is not None:
            _save(session)


@contextmanager
def opened_channel_and_http_session(
    message: Message,
) -> Iterator[tuple[ChannelSession, SessionBase | None]]:
    """Both sessions; the channel session remembers the key of the other for later messages."""
    cookie_name = settings.SESSION_COOKIE_NAME
    with opened_channel_session(message) as channel_session:
        known_key = channel_session.get(cookie_name)
        with opened_http_session(message, known_key) as http_session:
            key = http_session.session_key if http_session is not None else None
            if key and key != known_key:
                channel_session[cookie_name] = key
            yield channel_session, http_session


def reply_channel_of(message: Message) -> Channel:
    """The reply channel of ``message``, which must have one (``ValueError``)."""
    if message.reply_channel is None:
        raise ValueError(
            "The message has no reply_channel, which its channel session would belong to: use "
            "channel sessions and ordering in consumers of http and websocket messages only."
        )
    return message.reply_channel


def _save(session: SessionBase) -> None:
    """Save what was modified; a session that somebody has ended meanwhile is not revived."""
    if not session.modified or session.session_key is None or session.is_empty():
        return
    try:
        session.save()
    except (CreateError, UpdateError):
        logger.warning("A session that ended while a consumer modified it was not saved.")
    session.modified = False


def _http_session_key(message: Message) -> str | None:
    """The key that the message brings, in the query string or else in a cookie."""
    query_string = message.get("query_string")
    if isinstance(query_string, str | bytes):
        keys = parse_qs(as_text(query_string), max_num_fields=None).get("session_key")
        if keys:
            return keys[-1]
    cookies = b"; ".join(header_values(message, b"cookie"))
    return parse_cookie(cookies.decode("latin-1")).get(settings.SESSION_COOKIE_NAME)


def _http_session(key: str) -> SessionBase | None:
    # Databases and caches refuse some characters with errors of their own; no engine uses them.
    if not key.isascii() or not key.isprintable():
        return None
    session: SessionBase = import_module(settings.SESSION_ENGINE).SessionStore(key)
    return session if session.session_key else None
