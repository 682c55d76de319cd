"""Running one consumer: the one place that does it, for workers and for tests."""

from __future__ import annotations

from typing import Any

from django.db import close_old_connections, reset_queries

from .exceptions import ChannelSocketException
from .message import Message
from .pending import HeldSends, pending_message_store
from .signals import consumer_finished, consumer_started
from .types import Consumer

# Django recycles database connections around a request; a consumer is our request. Connections
# inside a transaction, such as those of a TestCase, are left alone by Django itself.
consumer_started.connect(reset_queries)
consumer_started.connect(close_old_connections)
consumer_finished.connect(close_old_connections)


def run_consumer(
    consumer: Consumer,
    message: Message,
    kwargs: dict[str, Any],
    sender: type,
    delayed: HeldSends | None = None,
) -> Any:
    """Run ``consumer`` on ``message`` and return its result.

    ``sender`` is the sender of the signals. Held sends go out when the consumer has ended,
    whichever way, but for what ``delayed`` takes over. A ``ChannelSocketException`` acts on its
    socket; every other exception gets through.
    """
    try:
        consumer_started.send(sender=sender, environ={})
        return consumer(message, **kwargs)
    except ChannelSocketException as error:
        # Before the held sends go out: what it sends is held too, so it keeps its place behind
        # them and is tried again when the channel is full.
        error.run(message)
    finally:
        if delayed is not None:
            pending_message_store.delay(delayed)
        consumer_finished.send_robust(sender=sender)
