"""Every exception that the library raises or understands."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .message import Message

__all__ = [
    "ChannelFull",
    "ChannelLayerUnavailable",
    "ChannelSocketException",
    "ConsumeLater",
    "DenyConnection",
    "InvalidChannelLayerError",
    "MessageTooLarge",
    "RequestAborted",
    "RequestTimeout",
    "ResponseLater",
    "SendNotAvailableOnDemultiplexer",
    "WebsocketCloseException",
]


class ConsumeLater(Exception):
    """Raised in a consumer: put the message back at the end of its channel."""


class ResponseLater(Exception):
    """Raised in a view: send no response now, another consumer will reply."""


class RequestTimeout(Exception):
    """The request body did not arrive in time."""


class RequestAborted(Exception):
    """The client left before its request body was complete."""


class DenyConnection(Exception):
    """Raised in a ``websocket.connect`` consumer: refuse the socket with 403."""


class ChannelSocketException(Exception):
    """Base of exceptions that a consumer raises to act on its socket."""

    def run(self, message: Message) -> None:
        """Act on the socket that ``message`` came from, after the consumer has ended."""
        raise NotImplementedError


class WebsocketCloseException(ChannelSocketException):
    """Raised in a consumer: close the socket.

    ``code`` is the close code: ``None`` (the same as 1000), 1000, or 3000 to
    4999; anything else is a ``ValueError``.
    """

    def __init__(self, code: int | None = None) -> None:
        is_allowed = isinstance(code, int) and (code == 1000 or 3000 <= code <= 4999)
        if code is not None and not is_allowed:
            raise ValueError(
                f"WebsocketCloseException: {code!r} is not a close code that an application "
                "may send; use None, 1000, or a number from 3000 to 4999."
            )
        super().__init__(code)
        self._code = code

    def run(self, message: Message) -> None:
        if message.reply_channel is None:
            raise ValueError(
                "WebsocketCloseException was raised for a message that has no reply_channel: "
                "raise it only in consumers of websocket messages."
            )
        message.reply_channel.send({"close": self._code or True})


class SendNotAvailableOnDemultiplexer(Exception):
    """``send`` was called where only a multiplexer knows the stream to send to."""


class ChannelFull(Exception):
    """The channel is at its capacity: the message was not sent."""


class MessageTooLarge(Exception):
    """The message is larger than the layer accepts: it was not sent."""


class ChannelLayerUnavailable(Exception):
    """The channel layer's server could not be reached, refused, or did not answer.

    ``may_have_arrived`` is true when what was sent may have arrived all the same, so that
    sending it again could mean sending it twice.
    """

    def __init__(self, *args: object, may_have_arrived: bool = False) -> None:
        super().__init__(*args)
        self.may_have_arrived = may_have_arrived


class InvalidChannelLayerError(ValueError):
    """An entry of the ``CHANNEL_LAYERS`` setting cannot be used."""
