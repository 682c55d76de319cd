"""Messages that are sent and received all the time, while a test breaks something."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from channels.exceptions import ChannelLayerUnavailable
from channels.test.layer_cases.base import InThread, numbers, receive_soon

from ..redis_server import wait_until

#: Seconds between two sends, and messages after which a stream counts as flowing.
PAUSE, FLOWING = 0.002, 20


class Stream:
    """One thread that sends to a channel, and one that receives what arrives there.

    ``received`` are the numbers of the messages, in their order; ``failures`` is what ``send``
    raised. ``name`` is what to receive from, for a process's channel.
    """

    def __init__(self, layer: Any, channel: str, name: str | None = None) -> None:
        self.received: list[int] = []
        self.failures: list[ChannelLayerUnavailable] = []
        self.sent: list[int] = []
        self._layer = layer
        self._channel = channel
        self._name = name or channel
        self._stop = threading.Event()
        self._threads = [InThread(self._send), InThread(self._receive)]

    def outlive(self, break_it: Callable[[], object]) -> None:
        """Break something while messages flow, wait until they do again, and end the stream."""
        self._flow()
        break_it()
        self._flow()
        self._stop.set()
        for thread in self._threads:
            thread.outcome()
        # On several shards the last message may come before others.
        self.received += numbers(self._layer, self._name)

    def _flow(self) -> None:
        so_far = len(self.received)
        wait_until(lambda: len(self.received) > so_far + FLOWING, "messages arrive")

    def _send(self) -> None:
        n = 0
        while not self._stop.wait(PAUSE):
            try:
                self._layer.send(self._channel, {"n": n})
                self.sent.append(n)
            except ChannelLayerUnavailable as error:
                self.failures.append(error)
            n += 1
        # Nothing is broken any more, so that this one arrives for sure.
        self._layer.send(self._channel, {"n": -1})

    def _receive(self) -> None:
        while (n := receive_soon(self._layer, [self._name])[1]["n"]) >= 0:
            self.received.append(n)
