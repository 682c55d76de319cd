"""What receivers do while a server is away: one line in the log, and growing pauses."""

from __future__ import annotations

import logging
import threading
import time

from ...exceptions import ChannelLayerUnavailable

logger = logging.getLogger("django.channels")

#: Seconds between the first attempts; they double up to the last one.
FIRST_PAUSE, LAST_PAUSE = 0.05, 1.0


class Outage:
    """Whether a shard is away, as its receivers see it."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._lock = threading.Lock()
        self._pause = 0.0
        self._next_try = 0.0

    def is_on(self) -> bool:
        return self._pause > 0

    def pause(self) -> float:
        """Seconds until the next attempt is due."""
        return max(0.0, self._next_try - time.monotonic()) if self.is_on() else 0.0

    def report(self, error: ChannelLayerUnavailable) -> None:
        """Note a failure, which puts the next attempt off."""
        with self._lock:
            is_new = not self.is_on()
            self._pause = min(LAST_PAUSE, self._pause * 2 or FIRST_PAUSE)
            self._next_try = time.monotonic() + self._pause
        if is_new:
            logger.error("Receiving waits until Redis is back: %s", error)

    def end(self) -> None:
        """Note that the server answers."""
        if not self.is_on():
            return
        with self._lock:
            was_on, self._pause = self.is_on(), 0.0
        if was_on:
            logger.info("Redis is back: receiving goes on.")
