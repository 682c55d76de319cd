"""Workers: receive a message, find its consumer, run it, and again."""

from __future__ import annotations

import asyncio
import fnmatch
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import Any

from . import signals
from .channel import Channel
from .exceptions import ChannelLayerUnavailable, ConsumeLater, DenyConnection
from .lifecycle import run_consumer
from .message import Message
from .pending import HeldSends, pending_message_store
from .sessions.closing import sessions_end_with_socket
from .sessions.watch import watch
from .types import Content, Received
from .utils import name_that_thing

logger = logging.getLogger("django.channels")

#: Seconds to rest after a receive that failed: what failed needs time to recover, and the log
#: must stay readable meanwhile.
ERROR_PAUSE = 1.0

#: Seconds between two looks of a group at whether it was told to stop.
GROUP_PAUSE = 0.2

Callback = Callable[[str, Message], object]


class Worker:
    """Runs the consumers of a channel layer's routing, one message at a time.

    Arguments:

    ``channel_layer``
        The wrapper of the layer to serve, from ``channel_layers``.
    ``callback``
        Called with channel name and message, after a consumer was found and before it runs.
    ``message_retries``
        How often a message is put back by ``ConsumeLater`` before it is dropped.
    ``signal_handlers``
        Whether SIGTERM and SIGINT end ``run()``, after the message in hand.
    ``only_channels``, ``exclude_channels``
        Shell globs of the channels to serve, and not to serve.
    """

    def __init__(
        self,
        channel_layer: Any,
        callback: Callback | None = None,
        message_retries: int = 10,
        signal_handlers: bool = True,
        only_channels: Sequence[str] | None = None,
        exclude_channels: Sequence[str] | None = None,
    ) -> None:
        self.channel_layer = channel_layer
        self.callback = callback
        self.message_retries = message_retries
        self.signal_handlers = signal_handlers
        self.only_channels = only_channels
        self.exclude_channels = exclude_channels
        self.termed = False
        self.in_job = False
        self._delayed = HeldSends(channel_layer)

    def install_signal_handler(self) -> None:
        """Let SIGTERM and SIGINT end ``run()``."""
        signal.signal(signal.SIGTERM, self.sigterm_handler)
        signal.signal(signal.SIGINT, self.sigterm_handler)

    def sigterm_handler(self, signo: int, stack_frame: FrameType | None) -> None:
        """Take no other message."""
        self.termed = True

    def ready(self) -> None:
        """Announce that the worker is about to receive its first message."""
        signals.worker_process_ready.send(sender=self)
        signals.worker_ready.send(sender=self)

    def apply_channel_filters(self, channels: Iterable[str]) -> list[str]:
        """Those of ``channels`` that this worker serves."""
        only, exclude = self.only_channels, self.exclude_channels
        return sorted(
            channel
            for channel in channels
            if (not only or _matches_any(channel, only))
            and not (exclude and _matches_any(channel, exclude))
        )

    def run(self) -> None:
        """Serve messages until ``termed`` is true; no exception of a consumer ends it."""
        if self.signal_handlers:
            self.install_signal_handler()
        channels = self.apply_channel_filters(self.channel_layer.router.channels)
        with pending_message_store.delaying(self.channel_layer) as self._delayed:
            while not self.termed:
                self._take_turn(channels)
        watch.hand_over()
        self.in_job = False

    def _take_turn(self, channels: list[str]) -> None:
        """Send what the last consumer left to send, receive a message, and handle it."""
        self.in_job = False
        name, content = self._receive(channels)
        self.in_job = True
        try:
            self._delayed.flush()  # what met full channels
        finally:
            if name is not None and content is not None:
                self._handle(name, content)
        if watch:
            self._delayed.flush()
            watch.look()

    def _receive(self, channels: list[str]) -> Received:
        try:
            return self._delayed.turn(channels)
        except ChannelLayerUnavailable as error:
            logger.error("The worker cannot receive: %s", error)
            time.sleep(ERROR_PAUSE)
        except Exception:
            logger.exception("The worker cannot receive from %s.", self.channel_layer)
            time.sleep(ERROR_PAUSE)
        return None, None

    def _handle(self, name: str, content: Content) -> None:
        """Run the consumer of one message; whatever goes wrong is logged."""
        logger.debug("Got message on %s", name)
        consumer = None
        try:
            message = Message(content, name, self.channel_layer)
            if content.get("__retries__", 0) >= self.message_retries:
                message.__doomed__ = True  # type: ignore[attr-defined]
            match = self.channel_layer.router.match(message)
            if match is None:
                logger.error(
                    "No consumer takes a message on %s: add a route for it (its filters count).",
                    name,
                )
                return
            consumer, kwargs = match
            if self.callback:
                self.callback(name, message)
            self._run(consumer, message, kwargs)
        except (Exception, asyncio.CancelledError):
            logger.exception("Error processing message with consumer %s:", _name(consumer, name))

    def _run(self, consumer: Any, message: Message, kwargs: dict[str, Any]) -> None:
        try:
            with sessions_end_with_socket(message):
                run_consumer(consumer, message, kwargs, sender=type(self), delayed=self._delayed)
        except DenyConnection:
            self._delayed.add(_channel_to_deny(message, consumer), {"close": True})
        except ConsumeLater:
            self._put_back(message)

    def _put_back(self, message: Message) -> None:
        retries = message.content.get("__retries__", 0) + 1
        if retries > self.message_retries:
            logger.warning(
                "A message on %s is dropped: its consumer put it back %d times.",
                message.channel,
                self.message_retries,
            )
            return
        channel: Any = message.channel
        self._delayed.add(channel, {**message.content, "__retries__": retries})


class WorkerGroup(Worker):
    """Several workers in threads of one process.

    Takes the arguments of ``Worker``, and ``n_threads`` (the number of CPUs by default). The
    calling thread supervises the others. ``stop_gracefully`` is accepted for old callers:
    stopping always lets every thread finish the message in its hand.
    """

    def __init__(
        self,
        *args: Any,
        n_threads: int | None = None,
        stop_gracefully: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.n_threads = n_threads or os.cpu_count() or 1
        kwargs["signal_handlers"] = False
        self.sub_workers = [Worker(*args, **kwargs) for _ in range(self.n_threads)]

    def sigterm_handler(self, signo: int, stack_frame: FrameType | None) -> None:
        """Let every thread finish its message and take no other."""
        self._stop_threads()
        self.termed = True

    def _stop_threads(self) -> None:
        for worker in self.sub_workers:
            worker.termed = True

    def ready(self) -> None:
        """Announce the process, and each of its workers."""
        signals.worker_process_ready.send(sender=self)
        for worker in self.sub_workers:
            signals.worker_ready.send(sender=worker)

    def run(self) -> None:
        """Serve messages until ``termed`` is true.

        A thread that dies (a consumer called ``sys.exit()``, say) ends the whole group, with
        ``SystemExit(1)`` when all others have finished, so that the process is started anew.
        """
        if self.signal_handlers:
            self.install_signal_handler()
        threads = [
            threading.Thread(target=self._run_thread, args=(worker,), name=f"worker-{number}")
            for number, worker in enumerate(self.sub_workers, start=1)
        ]
        for thread in threads:
            thread.start()
        while alive := [thread for thread in threads if thread.is_alive()]:
            if self.termed:
                self._stop_threads()
            alive[0].join(GROUP_PAUSE)
        if not self.termed:
            raise SystemExit(1)

    def _run_thread(self, worker: Worker) -> None:
        try:
            worker.run()
        except BaseException:
            self._stop_threads()
            logger.critical("A worker thread died, the others stop.", exc_info=True)
        self._stop_threads()


def _matches_any(channel: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(channel, pattern) for pattern in patterns)


def _name(consumer: object, channel: str) -> str:
    return name_that_thing(consumer) if consumer else f"of {channel}"


def _channel_to_deny(message: Message, consumer: object) -> Channel:
    """The reply channel of ``message``; ``ValueError`` unless that asks to open a socket."""
    name = message.channel.name if message.channel else None
    if name == "websocket.connect" and message.reply_channel is not None:
        return message.reply_channel
    raise ValueError(
        f"{name_that_thing(consumer)} raised DenyConnection for a message on {name}: only "
        "websocket.connect can be denied; close an open socket with WebsocketCloseException."
    )
