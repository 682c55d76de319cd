"""Sends that wait for the end of the consumer that made them."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Protocol

from .exceptions import ChannelLayerUnavailable
from .signals import consumer_finished, consumer_started
from .types import Content, Layer

logger = logging.getLogger("django.channels")

#: Seconds for which a flush goes on trying to send to full channels: longer than a reader
#: needs to catch up with a burst, shorter than what callers take for a hanging worker.
RETRY_TIME = 2.0

#: Seconds between two tries to send to a full channel.
RETRY_PAUSE = 0.05


class Sender(Protocol):
    """A ``Channel`` or a ``Group``."""

    channel_layer: Layer

    def send(self, content: Content, immediately: bool = False) -> None: ...


class PendingMessageStore:
    """Holds the sends of the consumers that run in each thread.

    A consumer may run another one in its thread, so the sends are kept in a stack of lists, and
    the end of a consumer flushes the list on top.
    """

    def __init__(self) -> None:
        self._local = threading.local()

    @property
    def _stack(self) -> list[list[tuple[Sender, Content]]]:
        if not hasattr(self._local, "stack"):
            self._local.stack = []
        return self._local.stack  # type: ignore[no-any-return]

    @property
    def active(self) -> bool:
        """Whether a consumer runs in this thread, so that sends are held."""
        return bool(self._stack)

    def prepare(self, **kwargs: Any) -> None:
        """Hold this thread's sends from now on."""
        self._stack.append([])

    def append(self, sender: Sender, content: Content) -> None:
        """Hold ``content``, which must not be altered any more, until the consumer ends."""
        self._stack[-1].append((sender, content))

    def send_and_flush(self, **kwargs: Any) -> None:
        """Send what was held since the last ``prepare``, in order; errors are logged.

        Sends that meet full channels are tried again for two seconds in all.
        """
        if not self.active:
            return
        deadline = time.monotonic() + RETRY_TIME
        for sender, content in self._stack.pop():
            try:
                send_until(deadline, sender, content)
            except (sender.channel_layer.ChannelFull, ChannelLayerUnavailable) as error:
                logger.error("A message to %s is lost: %s", sender, error)
            except Exception:
                logger.exception("A message to %s is lost.", sender)


def send_until(deadline: float, sender: Sender, content: Content) -> None:
    """Send at once, and while the channel is full try again until ``deadline``.

    ``deadline`` is a time of ``time.monotonic()``; after it the layer's ``ChannelFull`` gets
    through.
    """
    while True:
        try:
            return sender.send(content, immediately=True)
        except sender.channel_layer.ChannelFull:
            if time.monotonic() >= deadline:
                raise
            time.sleep(RETRY_PAUSE)


pending_message_store = PendingMessageStore()
consumer_started.connect(pending_message_store.prepare)
consumer_finished.connect(pending_message_store.send_and_flush)
