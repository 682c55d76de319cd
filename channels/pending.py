"""Sends that wait: for the end of the consumer that made them, or for a worker's next turn."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from .exceptions import ChannelLayerUnavailable
from .signals import consumer_finished, consumer_started
from .types import Content, Layer, Received, Sending
from .utils import most_derived, receive_waiting

logger = logging.getLogger("django.channels")

#: Seconds for which a flush goes on trying to send to full channels: longer than a reader
#: needs to catch up with a burst, shorter than what callers take for a hanging worker.
RETRY_TIME = 2.0

#: Seconds between two tries to send to a full channel.
RETRY_PAUSE = 0.05

#: What must not be more derived than a layer's ``send_many``, and than its ``turn``, to be used:
#: a subclass that changes one of these wants to see every call.
SINGLE_SENDS = ("send", "send_group")
SENDS_AND_RECEIVES = ("send_many", *SINGLE_SENDS, "receive", "receive_many")

#: What must not be more derived than a layer's ``takes_packed`` for it to be given ``Packed``: a
#: subclass that changes one of these may look for dicts.
SEES_MESSAGES = ("turn", "send_many", *SINGLE_SENDS, "encode")


class Sender(Protocol):
    """A ``Channel`` or a ``Group``."""

    channel_layer: Layer

    def send(self, content: Content, immediately: bool = False) -> None: ...

    def sending(self, content: Mapping[str, Any]) -> Sending:
        """What a layer is given to do the same as ``send`` does at once."""
        ...


class Held(NamedTuple):
    """One send that waits."""

    sender: Sender
    content: Mapping[str, Any]


class HeldSends:
    """Sends to one layer that wait, in their order. What is lost is logged.

    ``layer`` may be a wrapper of the layer.
    """

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.waiting: list[Held] = []

    def is_for(self, layer: Any) -> bool:
        """Whether ``layer`` is the same layer, with or without a wrapper."""
        return self.layer is layer or _unwrapped(self.layer) is _unwrapped(layer)

    def add(self, sender: Sender, content: Content) -> None:
        """Send ``content`` with the next turn, or at once if that cannot be."""
        self.waiting.append(Held(sender, content))
        if not (self._takes_turns() and self._senders_agree()):
            self.flush()

    def take_over(self, other: HeldSends) -> bool:
        """Take what waits in ``other``, if it can go out with a turn of this one's layer."""
        if not (self.is_for(other.layer) and other._senders_agree() and self._takes_turns()):
            return False
        self.waiting += other.waiting
        return True

    def turn(self, channels: list[str]) -> Received:
        """Send what waits, and receive; what met full channels goes on waiting.

        Raises what the layer raises. Then nobody knows what was sent, so nothing is sent again.
        """
        if not self.waiting:
            return receive_waiting(self.layer, channels)
        sent = self._take_all()
        try:
            outcomes, received = self.layer.turn(self._sendings(sent), channels)
        except Exception:
            for sender, _ in sent:
                logger.error("A message to %s may be lost: the worker's turn failed.", sender)
            raise
        self._sort_out(sent, outcomes)
        return received  # type: ignore[no-any-return]

    def flush(self, deadline: float | None = None) -> None:
        """Send what waits; full channels are tried again until ``deadline``.

        That is a time of ``time.monotonic()``, by default two seconds from now.
        """
        if not self.waiting:
            return
        deadline = time.monotonic() + RETRY_TIME if deadline is None else deadline
        if not self._goes_together():
            for held in self._take_all():
                self._send_one(deadline, held)
            return
        while errors := self._send_together():
            if time.monotonic() >= deadline:
                for (sender, _), error in zip(self._take_all(), errors, strict=True):
                    self._log_loss(sender, error)
                return
            time.sleep(RETRY_PAUSE)

    def _takes_turns(self) -> bool:
        return most_derived(self.layer, ["turn", *SENDS_AND_RECEIVES]) == "turn"

    def _goes_together(self) -> bool:
        """Whether nobody wants to see each of the sends."""
        by_layer = most_derived(self.layer, ["send_many", *SINGLE_SENDS])
        return by_layer == "send_many" and self._senders_agree()

    def _senders_agree(self) -> bool:
        # Those of a kind agree, but for one with a method of its own.
        senders = {
            id(sender) if "send" in getattr(sender, "__dict__", ()) else type(sender): sender
            for sender, _ in self.waiting
        }
        methods = (most_derived(sender, ["sending", "send"]) for sender in senders.values())
        return all(method == "sending" for method in methods)

    def _sendings(self, held: list[Held]) -> list[Sending]:
        names = ["takes_packed", *SEES_MESSAGES]
        takes_packed = most_derived(self.layer, names) == "takes_packed"
        return [
            sender.sending(
                content
                if takes_packed and "takes_packed" in type(sender).__dict__
                else dict(content)
            )
            for sender, content in held
        ]

    def _take_all(self) -> list[Held]:
        taken, self.waiting = self.waiting, []
        return taken

    def _send_one(self, deadline: float, held: Held) -> None:
        try:
            send_until(deadline, held.sender, dict(held.content))
        except Exception as error:
            self._log_loss(held.sender, error)

    def _send_together(self) -> list[Exception]:
        """Returns the errors of what met full channels."""
        sent = self._take_all()
        try:
            outcomes = self.layer.send_many(self._sendings(sent))
        except Exception as error:
            for sender, _ in sent:
                self._log_loss(sender, error)
            return []
        return self._sort_out(sent, outcomes)

    def _sort_out(self, sent: list[Held], outcomes: Iterable[Exception | None]) -> list[Exception]:
        """Let what met full channels wait again, and return the errors of that."""
        errors = []
        for held, error in zip(sent, outcomes, strict=False):
            if error is None:
                continue
            if isinstance(error, self.layer.ChannelFull):
                self.waiting.append(held)
                errors.append(error)
            else:
                self._log_loss(held.sender, error)
        return errors

    def _log_loss(self, sender: Sender, error: Exception) -> None:
        if getattr(error, "may_have_arrived", False):
            logger.error("A message to %s may be lost: %s", sender, error)
        elif isinstance(error, (self.layer.ChannelFull, ChannelLayerUnavailable)):
            logger.error("A message to %s is lost: %s", sender, error)
        else:
            logger.error("A message to %s is lost.", sender, exc_info=error)


class PerThread(threading.local):
    """What a thread has of a store: the sends of consumers in consumers, and what it delays."""

    def __init__(self) -> None:
        self.stack: list[list[Held]] = []
        self.delayed: HeldSends | None = None


class PendingMessageStore:
    """Holds the sends of the consumers that run in each thread.

    A consumer may run another one in its thread, so the sends are kept in a stack of lists, and
    the end of a consumer flushes the list on top.
    """

    def __init__(self) -> None:
        self._local = PerThread()

    @property
    def active(self) -> bool:
        """Whether a consumer runs in this thread, so that sends are held."""
        return bool(self._local.stack)

    def prepare(self, **kwargs: Any) -> None:
        """Hold this thread's sends from now on."""
        self._local.stack.append([])

    def append(self, sender: Sender, content: Mapping[str, Any]) -> None:
        """Hold ``content``, as in a ``Sending``, until the consumer ends."""
        self._local.stack[-1].append(Held(sender, content))

    def send_and_flush(self, **kwargs: Any) -> None:
        """Send what was held since the last ``prepare``; errors are logged.

        The order is kept for each layer. Sends that meet full channels are tried again for two
        seconds in all.
        """
        if not self.active:
            return
        deadline = time.monotonic() + RETRY_TIME
        for batch in _by_layer(self._local.stack.pop()):
            batch.flush(deadline)

    @contextmanager
    def delaying(self, layer: Any) -> Iterator[HeldSends]:
        """Around a worker of ``layer`` in this thread: gives a place for what it delays.

        What is left there goes out at the end, and before anything else that is done at once
        with a channel or a group of that layer in this thread.
        """
        before = self._local.delayed
        self._local.delayed = delayed = HeldSends(layer)
        try:
            yield delayed
        finally:
            self._local.delayed = before
            delayed.flush()

    def delay(self, delayed: HeldSends) -> None:
        """Move what is held since the last ``prepare`` to ``delayed``, as far as that takes it."""
        if stack := self._local.stack:
            batches = _by_layer(stack[-1])
            rest = [batch.waiting for batch in batches if not delayed.take_over(batch)]
            stack[-1] = [held for waiting in rest for held in waiting]

    def send_delayed(self, layer: Any) -> None:
        """Send what this thread has delayed for ``layer``, before what must come after it."""
        delayed = self._local.delayed
        if delayed is not None and delayed.is_for(layer):
            delayed.flush()


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


def _by_layer(held: Iterable[Held]) -> list[HeldSends]:
    """The sends to each layer, in the order of their first ones."""
    batches: list[HeldSends] = []
    last: HeldSends | None = None
    for one in held:
        try:
            layer = one.sender.channel_layer
        except Exception:
            logger.exception("A message to %s is lost.", one.sender)
            continue
        if last is None or last.layer is not layer:
            last = next((batch for batch in batches if batch.is_for(layer)), None)
            if last is None:
                last = HeldSends(layer)
                batches.append(last)
        last.waiting.append(one)
    return batches


def _unwrapped(layer: Any) -> Any:
    return getattr(layer, "channel_layer", layer)


pending_message_store = PendingMessageStore()
consumer_started.connect(pending_message_store.prepare)
consumer_finished.connect(pending_message_store.send_and_flush)
