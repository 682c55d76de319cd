"""The decorators that give a consumer its sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..decorators import consumer_decorator
from ..message import Message
from .opening import (
    opened_channel_and_http_session,
    opened_channel_session,
    opened_http_session,
)


def _with_channel_session(message: Message, run: Callable[[], Any]) -> Any:
    with opened_channel_session(message):
        return run()


def _with_http_session(message: Message, run: Callable[[], Any]) -> Any:
    with opened_http_session(message):
        return run()


def _with_both(message: Message, run: Callable[[], Any]) -> Any:
    with opened_channel_and_http_session(message):
        return run()


#: Gives the consumer ``message.channel_session``, a session that belongs to the reply channel
#: and is saved when it was modified, also when the consumer raises.
channel_session = consumer_decorator("channel_session", _with_channel_session)

#: Gives the consumer ``message.http_session``, the session that the ``session_key`` in the query
#: string or the session cookie names, saved when it was modified; ``None`` when there is no key.
http_session = consumer_decorator("http_session", _with_http_session)

#: Gives the consumer both, ``message.http_session`` also on the later messages of a socket, which
#: bring no cookies.
channel_and_http_session = consumer_decorator("channel_and_http_session", _with_both)
