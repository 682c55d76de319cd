"""Sending the messages of one HTTP response no faster than its client takes them."""

from __future__ import annotations

import logging
import time

from .exceptions import ChannelLayerUnavailable
from .message import Message
from .pending import RETRY_TIME, send_until
from .types import Content
from .utils import receive_method, receive_waiting

logger = logging.getLogger("django.channels")

#: Messages of a response that may be under way at once: with the handler's chunks of 512 KiB
#: enough to keep any line busy, and a bounded load on the layer.
WINDOW = 16

#: Seconds that a client may take to accept more of a response, and that a full reply channel
#: may stay full. What common proxies allow between two writes.
STALL_TIMEOUT = 60.0

#: Seconds after which a response looks, before its next message, for what was acknowledged: one
#: that is slower than its client would fill the window only long after the client has left.
LOOK_SECONDS = 1.0


class ClientGone(Exception):
    """The client of a response takes no more of it."""


class ReplySender:
    """Sends the reply messages of one ``http.request`` message.

    An interface server that can acknowledge (the request says ``acknowledges``) is told a
    channel for that when the response has several messages; then at most ``WINDOW`` of them
    are on their way unacknowledged, so that a slow client slows the view's iterator down.
    """

    def __init__(self, message: Message) -> None:
        if message.reply_channel is None:
            raise ValueError(
                "An http.request message has no reply_channel, so that no response can be sent."
            )
        self.reply_channel = message.reply_channel
        self.layer = self.reply_channel.channel_layer
        self.can_acknowledge = bool(message.get("acknowledges"))
        self.ack_channel: str | None = None
        self.sent = 0
        self.acknowledged = 0
        self._next_look = 0.0

    def send(self, reply: Content) -> None:
        """Send ``reply`` at once, or as soon as the client has taken enough of what came before.

        Raises ``ClientGone`` when the client has left or takes nothing for a minute.
        """
        if self.sent == 0 and reply.get("more_content") and self.can_acknowledge:
            self.ack_channel = self.layer.new_channel("http.response.ack?")
            reply = {**reply, "ack_channel": self.ack_channel}
            self._next_look = time.monotonic() + LOOK_SECONDS
        elif self.ack_channel and self.sent - self.acknowledged >= WINDOW:
            self._wait_for_acknowledgement(self.ack_channel)
        elif self.ack_channel and time.monotonic() >= self._next_look:
            self._look_for_acknowledgements(self.ack_channel)
        self._put(reply, STALL_TIMEOUT)
        self.sent += 1

    def fail(self, error_reply: Content) -> None:
        """The response cannot go on: answer with ``error_reply``, or cut it if it has begun."""
        reply = {"aborted": True} if self.sent else error_reply
        try:
            self._put(reply, RETRY_TIME)
        except (ClientGone, ChannelLayerUnavailable) as error:
            logger.error("The end of a failed HTTP response is lost: %s", error)

    def _put(self, reply: Content, timeout: float) -> None:
        try:
            send_until(time.monotonic() + timeout, self.reply_channel, reply)
        except self.layer.ChannelFull as error:
            raise ClientGone(str(error)) from error

    def _look_for_acknowledgements(self, ack_channel: str) -> None:
        receive = receive_method(self.layer)
        while (answer := receive([ack_channel], block=False)[1]) is not None:
            self._take(answer)
        self._next_look = time.monotonic() + LOOK_SECONDS

    def _wait_for_acknowledgement(self, ack_channel: str) -> None:
        deadline = time.monotonic() + STALL_TIMEOUT
        while time.monotonic() < deadline:
            _, answer = receive_waiting(self.layer, [ack_channel])
            if answer is None:
                continue
            self._take(answer)
            if self.sent - self.acknowledged < WINDOW:
                return
        raise ClientGone(f"the client took nothing for {STALL_TIMEOUT:.0f} seconds.")

    def _take(self, answer: Content) -> None:
        if answer.get("closed"):
            raise ClientGone("the client has left.")
        self.acknowledged = max(self.acknowledged, answer.get("acknowledged", 0))
