"""The users behind sockets: decorators that put ``message.user`` on a consumer's message."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from django.contrib import auth
from django.contrib.sessions.backends.base import SessionBase
from django.utils.functional import SimpleLazyObject

from .decorators import consumer_decorator
from .message import Message
from .sessions.opening import (
    opened_channel_and_http_session,
    opened_channel_session,
    opened_http_session,
)

__all__ = [
    "channel_and_http_session_user_from_http",
    "channel_session_user",
    "channel_session_user_from_http",
    "http_session_user",
    "transfer_user",
]

#: What Django keeps of a user in a session.
AUTH_KEYS = (auth.SESSION_KEY, auth.BACKEND_SESSION_KEY, auth.HASH_SESSION_KEY)


def transfer_user(from_session: SessionBase, to_session: SessionBase) -> None:
    """Log the user of one session in to the other; nothing happens when there is none."""
    if all(key in from_session for key in AUTH_KEYS):
        to_session.update({key: from_session[key] for key in AUTH_KEYS})


def _set_user(message: Any, session: SessionBase | None) -> None:
    """Give ``message`` what Django's ``get_user``, ``login`` and ``logout`` want of a request."""
    request: Any = SimpleNamespace(session={} if session is None else session)
    message.user = SimpleLazyObject(lambda: auth.get_user(request))
    if session is not None:
        message.session = session
        message.META = {}


def _with_channel_user(message: Message, run: Callable[[], Any]) -> Any:
    with opened_channel_session(message) as session:
        _set_user(message, session)
        return run()


def _with_http_user(message: Message, run: Callable[[], Any]) -> Any:
    with opened_http_session(message) as session:
        _set_user(message, session)
        return run()


def _with_user_from_http(message: Message, run: Callable[[], Any]) -> Any:
    with opened_channel_session(message) as session, opened_http_session(message) as http_session:
        return _run_with_transferred(message, session, http_session, run)


def _with_user_and_both_sessions(message: Message, run: Callable[[], Any]) -> Any:
    with opened_channel_and_http_session(message) as (session, http_session):
        return _run_with_transferred(message, session, http_session, run)


def _run_with_transferred(
    message: Message,
    session: SessionBase,
    http_session: SessionBase | None,
    run: Callable[[], Any],
) -> Any:
    if http_session is not None:
        transfer_user(http_session, session)
    _set_user(message, session)
    return run()


#: Gives the consumer ``message.user``, the user in ``message.channel_session``.
channel_session_user = consumer_decorator("channel_session_user", _with_channel_user)

#: Gives the consumer ``message.user``, the user in ``message.http_session``.
http_session_user = consumer_decorator("http_session_user", _with_http_user)

#: Copies the user of the HTTP session to the channel session first: for ``websocket.connect``,
#: so that ``channel_session_user`` finds the user in all later messages.
channel_session_user_from_http = consumer_decorator(
    "channel_session_user_from_http", _with_user_from_http
)

#: The same, with ``message.http_session`` on all later messages too.
channel_and_http_session_user_from_http = consumer_decorator(
    "channel_and_http_session_user_from_http", _with_user_and_both_sessions
)
