"""What to do when a message that others wait for does not come.

Since when it is missing is kept in a session of its own: the channel session is written by the
consumer whose turn it is and by nobody else, or one of them would undo what the other wrote.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.contrib.sessions.backends.base import CreateError, UpdateError

from ..message import Message
from .opening import reply_channel_of
from .parking import (
    NEXT_ORDER,
    current_turn,
    park_again,
    release,
    requeue_messages,
    send_back,
    take_all,
    wait_channel_name,
)
from .store import ChannelSession, session_for_reply_channel

logger = logging.getLogger("django.channels")

#: Seconds that messages live on a layer that does not say so.
USUAL_EXPIRY = 60.0


def expiry_of(message: Message) -> float:
    """Seconds after which a message that has not come will not come any more."""
    return float(getattr(reply_channel_of(message).channel_layer, "expiry", USUAL_EXPIRY))


def pass_over_if_lost(message: Message, turn: int) -> None:
    """Go on with the first parked message when that of ``turn`` has been missing for too long.

    ``message`` is one that has just been parked.
    """
    if time.time() - _missing_since(message, turn) > expiry_of(message):
        pass_over(message, turn)


def pass_over(message: Message, turn: int) -> bool:
    """Go on with the first parked message, unless that of ``turn`` has come meanwhile.

    Returns whether messages may still be parked.
    """
    with _alone(message) as alone:
        if not alone or current_turn(message) != turn:
            return True
        parked = take_all(message)
        if not parked:
            return False
        first = max(turn, parked[0]["order"])
        logger.error(
            "Messages %d to %d of %s are lost: they did not come within %g seconds after a later "
            "one, and are passed over.",
            turn,
            first - 1,
            message.reply_channel,
            expiry_of(message),
        )
        session = session_for_reply_channel(reply_channel_of(message).name)
        session[NEXT_ORDER] = first
        session.save_anyway()
        park_again(message, parked)
        release(message, first)
        return True


def keep_parked(message: Message) -> bool:
    """Let what is parked live for another expiry; returns whether there may be anything."""
    with _alone(message) as alone:
        if not alone:
            return True
        parked = take_all(message)
        park_again(message, parked)
    requeue_messages(message)
    return bool(parked)


def give_away(message: Message) -> None:
    """Send ``message``, if it is parked, to the end of its channel, out of its turn."""
    with _alone(message) as alone:
        for content in take_all(message) if alone else []:
            if content["order"] == message["order"]:
                send_back(message, content)
            else:
                park_again(message, [content])
    requeue_messages(message)


def gap_session(reply_channel: str) -> ChannelSession:
    """The session that says since when a message of that socket is missing."""
    return session_for_reply_channel(wait_channel_name(reply_channel))


def _missing_since(message: Message, turn: int) -> float:
    """The Unix time when the message of ``turn`` was first found missing, now at the latest."""
    session = gap_session(reply_channel_of(message).name)
    if session.get("turn") == turn:
        return float(session["since"])
    now = time.time()
    session.update({"turn": turn, "since": now})
    # Whoever else finds the same at this moment writes the same.
    with suppress(CreateError, UpdateError):
        session.save()
    return now


@contextmanager
def _alone(message: Message) -> Iterator[bool]:
    """Whether nobody else is here for the same socket; the making of a row decides."""
    lock = session_for_reply_channel("lock:" + reply_channel_of(message).name)
    lock["since"] = time.time()
    try:
        lock.create()
    except CreateError:
        if time.time() - lock.load().get("since", 0) > expiry_of(message):
            lock.delete()  # its worker died; the next one may come in
        yield False
        return
    try:
        yield True
    finally:
        lock.delete()
