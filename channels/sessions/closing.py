"""Removing the sessions of sockets that are closed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ..decorators import applied
from ..exceptions import ConsumeLater
from ..message import Message
from .gaps import gap_session
from .store import session_for_reply_channel

logger = logging.getLogger("django.channels")


@contextmanager
def sessions_end_with_socket(message: Message) -> Iterator[None]:
    """Around the consumer of ``message``: if that was the last of a socket, remove its sessions.

    The last one is a ``websocket.disconnect`` that is not to be consumed again later. Errors are
    logged.
    """
    is_last = message.channel is not None and message.channel.name == "websocket.disconnect"
    try:
        yield
    except ConsumeLater:
        is_last = is_last and getattr(message, "__doomed__", False)
        raise
    finally:
        if is_last and not getattr(message, "__parked__", False):
            _remove_sessions(message)


def _remove_sessions(message: Message) -> None:
    # A project that uses none of the decorators need not even have the tables.
    if not applied or message.reply_channel is None:
        return
    name = message.reply_channel.name
    try:
        session_for_reply_channel(name).delete()
        gap_session(name).delete()
    except Exception:
        logger.exception("The session of the closed socket %s could not be removed.", name)
