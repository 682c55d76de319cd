"""A socket as consumers see it, for the tests of class-based consumers and bindings."""

from __future__ import annotations

import json
from typing import Any

from channels.layers import InMemoryChannelLayer
from channels.lifecycle import run_consumer
from channels.message import Message

QUEUE = "websocket.send.test!"


class Socket:
    """Gives one socket's messages to a consumer, as a worker does, and reads what it is sent."""

    def __init__(self, layer: Any, consumer: Any, name: str = "one", **kwargs: Any) -> None:
        self.layer = layer
        self.consumer = consumer
        self.channel = QUEUE + name
        self.kwargs = kwargs
        self.order = 0

    def message(self, channel: str, **content: Any) -> Message:
        content = {
            "reply_channel": self.channel,
            "path": "/chat/",
            "order": self.order,
            "headers": [],
            "query_string": b"",
            **content,
        }
        return Message(content, channel, self.layer)

    def give(self, channel: str, **content: Any) -> Any:
        """Run the consumer; the message counts as handled whatever the consumer does."""
        message = self.message(channel, **content)
        self.order += 1
        return run_consumer(self.consumer, message, dict(self.kwargs), sender=Socket)

    def connect(self, **content: Any) -> Any:
        return self.give("websocket.connect", **content)

    def receive(self, **content: Any) -> Any:
        return self.give("websocket.receive", **content)

    def receive_json(self, content: Any) -> Any:
        return self.receive(text=json.dumps(content))

    def ask(self, stream: str, /, **payload: Any) -> Any:
        """Receive a frame for a demultiplexer."""
        return self.receive_json({"stream": stream, "payload": payload})

    def disconnect(self, **content: Any) -> Any:
        return self.give("websocket.disconnect", **{"code": 1000, **content})

    def replies(self) -> list[dict[str, Any]]:
        """What was sent to this socket since the last look; other sockets' messages are lost."""
        found = []
        while True:
            channel, content = self.layer.receive([QUEUE])
            if channel is None:
                return found
            if channel == self.channel:
                found.append(content)

    def frames(self) -> list[Any]:
        """The same, decoded, without what has no text."""
        return [json.loads(reply["text"]) for reply in self.replies() if "text" in reply]


def members(layer: InMemoryChannelLayer, group: str) -> list[str]:
    """The channels in ``group``."""
    return list(layer.group_channels(group))
