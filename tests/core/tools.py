"""What the tests of the core share."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from channels.layers import InMemoryChannelLayer
from channels.message import Message
from channels.worker import Worker

#: The process that reads the replies in these tests, and one client's channel there.
REPLIES = "http.response.test!"
REPLY_CHANNEL = REPLIES + "client"


class CountedWorker(Worker):
    """A worker that stops after ``rounds`` looks for a message."""

    rounds = 0

    @property
    def termed(self) -> bool:
        self.rounds -= 1
        return self.rounds < 0

    @termed.setter
    def termed(self, value: bool) -> None:
        if value:
            self.rounds = 0


def work(layer: Any, rounds: int = 1, **arguments: Any) -> CountedWorker:
    """Let a worker look for a message ``rounds`` times."""
    worker = CountedWorker(layer, signal_handlers=False, **arguments)
    worker.rounds = rounds
    worker.run()
    return worker


def problems(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What was logged as a warning or worse."""
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


def drain(layer: Any, channel: str) -> list[dict[str, Any]]:
    """The contents of all messages that wait on ``channel``."""
    contents: list[dict[str, Any]] = []
    while True:
        name, content = layer.receive([channel])
        if name is None:
            return contents
        contents.append(content)


def request_content(**content: Any) -> dict[str, Any]:
    """The content of a plain ``http.request`` message, with ``content`` on top."""
    return {
        "reply_channel": REPLY_CHANNEL,
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "query_string": b"",
        "root_path": "",
        "headers": [[b"host", b"testserver"]],
        "body": b"",
        "client": ["192.0.2.1", 4321],
        "server": ["testserver", 80],
        **content,
    }


def request_message(layer: Any, **content: Any) -> Message:
    """An ``http.request`` message from ``layer``."""
    return Message(request_content(**content), "http.request", layer)


class ForeignLayer:
    """A layer as another package would write it: no base class of ours, no ``local_only``, its
    own ``ChannelFull``, only ``receive_many``, which never waits."""

    class ChannelFull(Exception):
        pass

    class MessageTooLarge(Exception):
        pass

    extensions: tuple[str, ...] = ()

    def __init__(self, capacity: int = 100) -> None:
        self.capacity = capacity
        self.queues: dict[str, list[dict[str, Any]]] = {}
        self.receives = 0

    def send(self, channel: str, message: dict[str, Any]) -> None:
        queue = self.queues.setdefault(channel, [])
        if len(queue) >= self.capacity:
            raise self.ChannelFull(f"{channel} has {len(queue)} messages")
        queue.append(dict(message))

    def receive_many(self, channels: Any, block: bool = False) -> Any:
        self.receives += 1
        for channel in channels:
            if self.queues.get(channel):
                return channel, self.queues[channel].pop(0)
        return None, None

    def new_channel(self, pattern: str) -> str:
        return pattern + "x"


class TurningLayer(InMemoryChannelLayer):
    """A layer that takes turns, and notes what it was asked to send in each call."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.calls: list[Any] = []

    def send_many(self, sendings: Any) -> Any:
        self._note("send_many", sendings)
        return super().send_many(sendings)

    def turn(self, sendings: Any, channels: Any) -> Any:
        self._note("turn", sendings)
        return InMemoryChannelLayer.send_many(self, sendings), self.receive(channels, block=True)

    def _note(self, call: str, sendings: Any) -> None:
        self.calls.append((call, [(sending.name, sending.message) for sending in sendings]))
