"""The delay server: stores messages that are to be sent later, and sends those that are due."""

from __future__ import annotations

import logging
import math
import signal
import time
from datetime import datetime
from types import FrameType
from typing import Any

from django.db import (
    Error,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    close_old_connections,
    reset_queries,
)
from django.utils import timezone

from ..exceptions import ChannelLayerUnavailable
from ..layers.base import BLOCK_SECONDS, BaseChannelLayer
from ..types import Content
from ..utils import receive_method
from .models import DelayedMessage
from .stored import dump, load

logger = logging.getLogger("django.channels")

#: The channel that messages to delay are sent to.
DELAY_CHANNEL = "asgi.delay"

#: How many messages are received, and how many sent, before it is the other's turn: what the
#: server holds in memory is bounded, and neither side waits long for the other.
BATCH_SIZE = 100

#: Seconds between two looks at the channel while the next message is due too soon for a blocking
#: receive, which ends only after a second.
POLL_PAUSE = 0.05

#: Seconds to rest when the database or the channel layer is away.
ERROR_PAUSE = 1.0

#: Seconds for which a received message waits for the database to come back: as long as it may
#: wait in its channel by default.
STORE_TIME = 60.0


class Worker:
    """Stores what comes on ``asgi.delay`` and sends each message when it is due.

    Any number of servers may share a database: every message is sent by one of them, once.
    Arguments:

    ``channel_layer``
        The layer to receive from and to send to, or its wrapper.
    ``signal_handlers``
        Whether SIGTERM and SIGINT end ``run()``, after the message in hand.
    ``database_sleep_duration``
        Seconds between two looks for messages that others put into the database. What came
        through this server, and what it has seen in the database, is sent on time regardless.
    """

    def __init__(
        self,
        channel_layer: Any,
        signal_handlers: bool = True,
        database_sleep_duration: float = 1,
    ) -> None:
        self.channel_layer = channel_layer
        self.signal_handlers = signal_handlers
        self.database_sleep_duration = database_sleep_duration
        self.termed = False
        self._next_due = -math.inf
        self._next_look = -math.inf
        self._complaint = ""

    def install_signal_handler(self) -> None:
        """Let SIGTERM and SIGINT end ``run()``."""
        signal.signal(signal.SIGTERM, self.sigterm_handler)
        signal.signal(signal.SIGINT, self.sigterm_handler)

    def sigterm_handler(self, signo: int, stack_frame: FrameType | None) -> None:
        """Take no other message."""
        self.termed = True

    def run(self) -> None:
        """Serve until ``termed`` is true; no message and no outage ends it."""
        if self.signal_handlers:
            self.install_signal_handler()
        logger.info("Listening on %s", DELAY_CHANNEL)
        while not self.termed:
            reset_queries()
            close_old_connections()
            try:
                self._take_turn()
                self._complaint = ""
            except ChannelLayerUnavailable as error:
                self._rest(f"The channel layer is away, messages wait: {error}")
            except Error as error:
                self._rest(f"The database does not work, messages wait: {_one_line(error)}")
            except Exception:
                logger.exception("The delay server cannot go on for now.")
                time.sleep(ERROR_PAUSE)
        close_old_connections()

    def _rest(self, complaint: str) -> None:
        """Pause; an outage is logged when it begins, not at every attempt."""
        if complaint != self._complaint:
            logger.error("%s", complaint)
            self._complaint = complaint
        time.sleep(ERROR_PAUSE)

    def _take_turn(self) -> None:
        self._take_in()
        if not self.termed and time.monotonic() >= min(self._next_due, self._next_look):
            self._send_due()

    def _take_in(self) -> None:
        """Store the messages that come, until it is time to look at the database.

        Unless there are many, the last thing done here is a receive that does not wait. It
        raises an error when the layer is away: then nothing is taken out of the database.
        """
        content = self._wait()
        if content is not None:
            self._accept(content)
        for _ in range(BATCH_SIZE):
            if self.termed:
                return
            content = self._receive(block=False)
            if content is None:
                return
            self._accept(content)

    def _wait(self) -> Content | None:
        """The next message; ``None`` when none came, or the database needs a look first."""
        seconds_to_due = self._next_due - time.monotonic()
        if min(seconds_to_due, self.database_sleep_duration) >= BLOCK_SECONDS:
            return self._receive(block=True)
        end = min(self._next_due, self._next_look)
        while not self.termed:
            content = self._receive(block=False)
            seconds = end - time.monotonic()
            if content is not None or seconds <= 0:
                return content
            time.sleep(min(seconds, POLL_PAUSE))
        return None

    def _receive(self, block: bool) -> Content | None:
        started = time.monotonic()
        content: Content | None
        _, content = receive_method(self.channel_layer)([DELAY_CHANNEL], block=block)
        if block and content is None and time.monotonic() - started < POLL_PAUSE:
            time.sleep(POLL_PAUSE)  # a layer need not wait, and an idle server must not spin
        return content

    def _accept(self, content: Content) -> None:
        """Store one received message; one that cannot be sent later is logged and dropped."""
        try:
            message = _read(content)
        except (TypeError, ValueError) as error:
            logger.error("A message on %s is dropped: %s", DELAY_CHANNEL, error)
            return
        self._store(message)

    def _store(self, message: DelayedMessage) -> None:
        """Put ``message`` into the database; while that is away, try again and again."""
        give_up = time.monotonic() + STORE_TIME
        try:
            while not self._try_to_store(message):
                if self.termed:
                    return self._give_back(message)
                if time.monotonic() >= give_up:
                    return _log_loss(message, f"no database for {STORE_TIME:.0f} s")
        except Error as error:
            return _log_loss(message, _one_line(error))
        seconds = _seconds_until(message.due_date)
        self._next_due = min(self._next_due, time.monotonic() + seconds)
        return None

    def _try_to_store(self, message: DelayedMessage) -> bool:
        """``False`` when it may work later; an ``Error`` when the message itself is refused."""
        try:
            message.save(force_insert=True)
        except (InterfaceError, OperationalError, ProgrammingError) as error:
            self._rest(f"The database does not work, messages wait: {_one_line(error)}")
            close_old_connections()
            return False
        return True

    def _give_back(self, message: DelayedMessage) -> None:
        """Leave to another server a message that could not be stored before the end."""
        content = {
            "channel": message.channel_name,
            "content": load(message.content),
            "delay": max(0, round(_seconds_until(message.due_date) * 1000)),
        }
        try:
            self.channel_layer.send(DELAY_CHANNEL, content)
        except Exception as error:
            _log_loss(message, _one_line(error))

    def _send_due(self) -> None:
        """Send what is due, a bounded number of messages, and note when the next one is."""
        for message in DelayedMessage.objects.is_due().order_by("due_date", "pk")[:BATCH_SIZE]:
            if self.termed:
                return
            self._send(message)
        now = time.monotonic()
        self._next_look = now + self.database_sleep_duration
        self._next_due = now + _seconds_to_first()

    def _send(self, message: DelayedMessage) -> None:
        try:
            if message.send(self.channel_layer):
                logger.debug("Sent the delayed message %s", message)
        except ChannelLayerUnavailable as error:
            # It may have arrived, so it is not sent again; the others wait.
            _log_loss(message, _one_line(error))
            raise
        except Error:
            if not message._state.adding:
                raise
            self._store(message)
        except Exception as error:
            _log_loss(message, _one_line(error))


def _read(content: Content) -> DelayedMessage:
    """The message that ``content`` asks to delay; ``TypeError`` or ``ValueError`` if it is bad."""
    missing = [key for key in ("channel", "content", "delay") if key not in content]
    if missing:
        raise ValueError(f"it has no {' and no '.join(map(repr, missing))}.")
    BaseChannelLayer.check_channel(content["channel"])
    message = DelayedMessage(channel_name=content["channel"], content=dump(content["content"]))
    message.delay = content["delay"]
    if content["delay"] < 0:
        logger.warning("A delay of %s ms for %s: sent at once.", message.delay, message)
    return message


def _seconds_until(moment: datetime) -> float:
    return (moment - timezone.now()).total_seconds()


def _seconds_to_first() -> float:
    """Seconds until the first stored message is due, infinity when there is none."""
    due_dates = DelayedMessage.objects.order_by("due_date").values_list("due_date", flat=True)
    first = due_dates.first()
    return math.inf if first is None else _seconds_until(first)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _log_loss(message: DelayedMessage, reason: str) -> None:
    logger.error("The delayed message %s is lost: %s", message, reason)
