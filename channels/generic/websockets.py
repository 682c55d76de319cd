"""Consumers of WebSockets, plain, with JSON, and with several streams on one socket."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NoReturn

from django.core.serializers.json import DjangoJSONEncoder

from ..channel import Channel, Group
from ..exceptions import SendNotAvailableOnDemultiplexer
from ..message import Message
from ..types import Consumer, Content
from .base import BaseConsumer

logger = logging.getLogger("django.channels")


class WebsocketConsumer(BaseConsumer):
    """A consumer of the three kinds of WebSocket messages; override connect, receive, disconnect.

    Arguments: the message, and the routing's captures, which those methods get as keywords.
    """

    method_mapping: ClassVar[dict[str, str]] = {
        "websocket.connect": "raw_connect",
        "websocket.receive": "raw_receive",
        "websocket.disconnect": "raw_disconnect",
    }

    #: Whether ``message.user`` is the user of the HTTP session, kept in a channel session.
    http_user = False

    #: The same, and whether ``message.http_session`` is there on every message.
    http_user_and_session = False

    #: Whether messages of one socket run strictly one after the other, in their order.
    strict_ordering = False

    #: The names of the groups that every socket joins; see ``connection_groups``.
    groups: Iterable[str] | None = None

    def __init__(self, message: Message, **kwargs: Any) -> None:
        #: The path that the socket was opened with, empty when the message tells none.
        self.path: str = message.get("path") or ""
        super().__init__(message, **kwargs)

    def connection_groups(self, **kwargs: Any) -> Iterable[str]:
        """The names of the groups that this socket is in while it is open."""
        return self.groups or []

    def raw_connect(self, message: Message, **kwargs: Any) -> None:
        """Join the groups, then ``connect``."""
        for group in self._groups(message, kwargs):
            group.add(self._reply_channel)
        self.connect(message, **kwargs)

    def connect(self, message: Message, **kwargs: Any) -> None:
        """Called when the socket is opened; accepts it, so call ``super()`` or answer yourself."""
        self._reply_channel.send({"accept": True})

    def raw_receive(self, message: Message, **kwargs: Any) -> None:
        """Give ``receive`` the text or the bytes of a frame; ``ValueError`` without either."""
        if message.get("text") is not None:
            self.receive(text=message["text"], **kwargs)
        elif message.get("bytes") is not None:
            self.receive(bytes=message["bytes"], **kwargs)
        else:
            raise ValueError("A websocket.receive message has neither text nor bytes.")

    def receive(self, text: str | None = None, bytes: bytes | None = None, **kwargs: Any) -> None:
        """Called with every frame, which is either ``text`` or ``bytes``."""

    def raw_disconnect(self, message: Message, **kwargs: Any) -> None:
        """Leave the groups, then ``disconnect``."""
        for group in self._groups(message, kwargs):
            group.discard(self._reply_channel)
        self.disconnect(message, **kwargs)

    def disconnect(self, message: Message, **kwargs: Any) -> None:
        """Called when the socket is closed, whoever closed it."""

    def send(
        self, text: str | None = None, bytes: bytes | None = None, close: bool | int = False
    ) -> None:
        """Send a frame, of ``text`` if that is given, else of ``bytes``.

        ``close`` closes the socket afterwards: true, or a close code. Raises ``ValueError``
        without data, and ``SendNotAvailableOnDemultiplexer`` when a demultiplexer runs this
        consumer, whose clients expect frames that name the stream.
        """
        if "multiplexer" in self.kwargs:
            raise SendNotAvailableOnDemultiplexer(
                f"{type(self).__name__} is run by a demultiplexer, so that its frames must name "
                "their stream: use the send() of the 'multiplexer' keyword."
            )
        self._reply_channel.send(_frame(text, bytes, close))

    @classmethod
    def group_send(
        cls,
        name: str,
        text: str | None = None,
        bytes: bytes | None = None,
        close: bool | int = False,
    ) -> None:
        """Send a frame to all sockets in the group ``name``; otherwise as ``send``."""
        Group(name).send(_frame(text, bytes, close))

    def close(self, status: bool | int = True) -> None:
        """Close the socket: with 1000 for ``True``, or with the close code ``status``."""
        self._reply_channel.send({"close": status})

    def _groups(self, message: Message, kwargs: dict[str, Any]) -> list[Group]:
        names = self.connection_groups(**kwargs)
        if isinstance(names, str):
            raise TypeError(
                f"The groups of {type(self).__name__} must be a list of names, not a string: "
                f"write [{names!r}]."
            )
        return [Group(name, channel_layer=message.channel_layer) for name in names]

    @property
    def _reply_channel(self) -> Channel:
        if self.message.reply_channel is None:
            raise ValueError(
                f"{type(self).__name__} got a message that has no reply_channel, so it has no "
                "socket to act on."
            )
        return self.message.reply_channel


class JsonWebsocketConsumer(WebsocketConsumer):
    """A ``WebsocketConsumer`` whose frames are JSON; ``receive`` gets them decoded."""

    def raw_receive(self, message: Message, **kwargs: Any) -> None:
        """Decode the frame; ``ValueError`` when it has no text or the text is not JSON."""
        text = message.get("text")
        if text is None:
            raise ValueError(f"{type(self).__name__} got a frame without text; JSON is text.")
        try:
            content = self.decode_json(text)
        except RecursionError as error:
            raise ValueError("A frame of JSON is nested too deeply to be decoded.") from error
        self.receive(content, **kwargs)

    def receive(self, content: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Called with what every frame holds."""

    def send(self, content: Any, close: bool | int = False) -> None:  # type: ignore[override]
        """Send ``content`` as JSON, and with ``close`` close the socket (true, or a code)."""
        super().send(text=self.encode_json(content), close=close)

    @classmethod
    def group_send(cls, name: str, content: Any, close: bool | int = False) -> None:  # type: ignore[override]
        """Send ``content`` as JSON to all sockets in the group ``name``."""
        WebsocketConsumer.group_send(name, text=cls.encode_json(content), close=close)

    @classmethod
    def decode_json(cls, text: str) -> Any:
        """What ``text`` holds; ``ValueError`` when it is not JSON."""
        return json.loads(text)

    @classmethod
    def encode_json(cls, content: Any) -> str:
        """``content`` as JSON."""
        return json.dumps(content)


class WebsocketMultiplexer:
    """Sends frames of one stream to a socket.

    Arguments: the stream's name, and the socket's reply channel.
    """

    def __init__(self, stream: str, reply_channel: Channel) -> None:
        self.stream = stream
        self.reply_channel = reply_channel

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.stream} on {self.reply_channel}>"

    def send(self, payload: Any) -> None:
        """Send ``payload``, which must be JSON serializable."""
        self.reply_channel.send(self.encode(self.stream, payload))

    @classmethod
    def group_send(cls, name: str, stream: str, payload: Any, close: bool | int = False) -> None:
        """Send ``payload`` to the ``stream`` of all sockets in the group ``name``.

        ``close`` closes the sockets afterwards: true, or a close code.
        """
        message = cls.encode(stream, payload)
        if close:
            message["close"] = close
        Group(name).send(message)

    @classmethod
    def encode(cls, stream: str, payload: Any) -> Content:
        """The message that sends ``payload`` on ``stream``."""
        return {"text": cls.encode_json({"stream": stream, "payload": payload})}

    @classmethod
    def encode_json(cls, content: Any) -> str:
        """``content`` as JSON, in which also dates, decimals and UUIDs may stand."""
        return json.dumps(content, cls=DjangoJSONEncoder)


class WebsocketDemultiplexer(JsonWebsocketConsumer):
    """Spreads the frames of a socket over consumers, by the stream that each frame names.

    Frames are ``{"stream": name, "payload": {...}}``. The consumers get the payload as their
    text, and a ``multiplexer`` keyword to answer with. They run within the turn of the
    demultiplexer, so set ``strict_ordering`` on it rather than on them.
    """

    #: The consumer of each stream: a class, or any callable.
    consumers: ClassVar[Mapping[str, Consumer]] = {}

    #: What the ``multiplexer`` keyword is an instance of.
    multiplexer_class: type[WebsocketMultiplexer] = WebsocketMultiplexer

    def connect(self, message: Message, **kwargs: Any) -> None:
        """Accept the socket, and connect every consumer."""
        self._reply_channel.send({"accept": True})
        for stream, consumer in self.consumers.items():
            consumer(message, **self._with_multiplexer(stream, kwargs))

    def receive(self, content: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Run the consumer of the stream that the frame names.

        Raises ``ValueError`` for a frame of another form, for an unknown stream, and for a
        payload that is no dict.
        """
        if not isinstance(content, dict) or not {"stream", "payload"} <= content.keys():
            raise ValueError('A multiplexed frame must be {"stream": ..., "payload": ...}.')
        stream, payload = content["stream"], content["payload"]
        if not isinstance(stream, str) or stream not in self.consumers:
            raise ValueError(
                f"{type(self).__name__} has no consumer for the stream {stream!r:.80}: it knows "
                f"{', '.join(self.consumers) or 'none'}."
            )
        if not isinstance(payload, dict):
            raise ValueError(
                f"The payload of a multiplexed frame must be a dict, not {type(payload).__name__}."
            )
        # A copy, so that the frame itself is put back when the consumer raises ConsumeLater.
        message = copy.copy(self.message)
        message.content = {**message.content, "text": self.encode_json(payload)}
        self.consumers[stream](message, **self._with_multiplexer(stream, kwargs))

    def disconnect(self, message: Message, **kwargs: Any) -> None:
        """Disconnect every consumer; the first error gets through when all have been called."""
        first_error: Exception | None = None
        for stream, consumer in self.consumers.items():
            try:
                consumer(message, **self._with_multiplexer(stream, kwargs))
            except Exception as error:
                if first_error is None:
                    first_error = error
                else:
                    logger.exception("The stream %s was not disconnected in order.", stream)
        if first_error is not None:
            raise first_error

    def send(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not available: raises ``SendNotAvailableOnDemultiplexer``."""
        raise SendNotAvailableOnDemultiplexer(
            "A demultiplexer does not know the stream to send to: use the send() of the "
            "'multiplexer' keyword that its consumers get."
        )

    @classmethod
    def group_send(cls, *args: Any, **kwargs: Any) -> NoReturn:
        """Not available: raises ``SendNotAvailableOnDemultiplexer``."""
        raise SendNotAvailableOnDemultiplexer(
            "A demultiplexer does not know the stream to send to: use "
            "WebsocketMultiplexer.group_send(name, stream, payload)."
        )

    def _with_multiplexer(self, stream: str, kwargs: dict[str, Any]) -> dict[str, Any]:
        return {**kwargs, "multiplexer": self.multiplexer_class(stream, self._reply_channel)}


def _frame(text: str | None, data: bytes | None, close: bool | int) -> Content:
    if text is None and data is None:
        raise ValueError("A frame needs text or bytes; to close a socket, use close().")
    frame: Content = {"text": text} if text is not None else {"bytes": data}
    if close:
        frame["close"] = close
    return frame
