"""Where messages of a socket wait for their turn.

Messages that come too early are parked on a channel of their own. Whoever parks a message, or
parks one again that it took from there, reads the turn afterwards: the consumer that would have
released the message may have ended just before.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from ..channel import Channel
from ..exceptions import ConsumeLater
from ..layers.names import NAME_LIMIT
from ..message import Message
from ..pending import RETRY_TIME, send_until
from ..types import Content
from ..utils import receive_method
from .opening import reply_channel_of
from .store import ChannelSession, session_for_reply_channel

logger = logging.getLogger("django.channels")

#: The key in the channel session for the order of the message whose turn it is.
NEXT_ORDER = "__channels_next_order"

#: Seconds to wait for room to park a message. A worker puts a message back ten times, so in all
#: this is as patient with a full channel as everything else.
PARKING_TIME = RETRY_TIME / 10

#: Messages that follow the one whose turn it is when they were parked before it. So few do less
#: work in the queue than in being parked again; many would circulate there.
FEW = 10


def wait_channel_name(reply_channel: str) -> str:
    """The name of the channel where messages of the socket with that reply channel are parked."""
    name = "__wait__." + reply_channel.replace("!", "?")
    if len(name) < NAME_LIMIT:
        return name
    return f"__wait__.{session_for_reply_channel(reply_channel).session_key}"


def requeue_messages(message: Message) -> None:
    """Send the parked message whose turn it is, if there is one, to the end of its channel.

    The socket is that of ``message``, which must have a reply channel (``ValueError``).
    """
    release(message, current_turn(message))


def current_turn(message: Message) -> int:
    """The order whose turn it is by now, whatever it was when the session was opened."""
    session: ChannelSession | None = getattr(message, "channel_session", None)
    if session is None:
        session = session_for_reply_channel(reply_channel_of(message).name)
    return int(session.load().get(NEXT_ORDER, 0))


def park(message: Message) -> None:
    """Put ``message`` where it waits for its turn.

    Raises ``ConsumeLater`` when there is no room, and ``ValueError`` for a message that was not
    received from any channel and so could not go back there.
    """
    if message.channel is None:
        raise ValueError(
            "A message came before its turn and has no channel to go back to: give the Message "
            "the name of the channel that it is received on."
        )
    channel = _wait_channel(message)
    content = {**message.content, "original_channel": message.channel.name}
    try:
        send_until(time.monotonic() + PARKING_TIME, channel, content)
    except channel.channel_layer.ChannelFull as error:
        raise ConsumeLater from error


def release(message: Message, turn: int) -> None:
    """Send the parked message of ``turn``, if it is there, to the end of its channel."""
    while True:
        early, due = _take_until(message, turn)
        if due and len(early) <= FEW:
            due, early = due + early, []
        for content in due:
            send_back(message, content)
        park_again(message, early)
        if not early:
            return
        turn = current_turn(message)
        if all(content["order"] > turn for content in early):
            return


def take_all(message: Message) -> list[Content]:
    """Take everything that is parked, in order."""
    return _take_until(message, -1)[0]


def park_again(message: Message, contents: list[Content]) -> None:
    """Put back what was taken."""
    for content in contents:
        _send(_wait_channel(message), content)


def send_back(message: Message, content: Content) -> None:
    """Send what was taken to the end of the channel that it came from."""
    _send(Channel(content["original_channel"], channel_layer=_layer(message)), content)


def _take_until(message: Message, turn: int) -> tuple[list[Content], list[Content]]:
    """Take messages until it is the turn of one: what came before it, in order, and that one."""
    receive = receive_method(_layer(message))
    name = _wait_channel(message).name
    early: list[Content] = []
    due: list[Content] = []
    while not due:
        _, content = receive([name])
        if content is None:
            break
        (early if content["order"] > turn else due).append(content)
    early.sort(key=lambda content: int(content["order"]))
    return early, due


def _send(channel: Channel, content: Content) -> None:
    try:
        send_until(time.monotonic() + RETRY_TIME, channel, content)
    except channel.channel_layer.ChannelFull as error:
        logger.error("A message that waited for its turn is lost: %s", error)


def _wait_channel(message: Message) -> Channel:
    reply_channel = reply_channel_of(message)
    return Channel(wait_channel_name(reply_channel.name), channel_layer=_layer(message))


def _layer(message: Message) -> Any:
    return reply_channel_of(message).channel_layer
