"""Disconnects that wait behind a gap.

A gap is noticed by the messages that come after it, and nothing comes after a disconnect. So the
worker that parks one keeps an eye on it.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time

from django.db import close_old_connections

from ..message import Message
from .gaps import expiry_of, give_away, keep_parked, pass_over, seconds_missing
from .parking import current_turn

logger = logging.getLogger("django.channels")

#: The part of the layer's expiry that a disconnect waits: it must not expire itself.
PATIENCE = 0.8


class Watch:
    """The parked disconnects of this process; safe with threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[float, int, Message, int]] = []
        self._number = itertools.count()

    def add(self, message: Message, turn: int) -> None:
        """Watch ``message``, which is parked until that of ``turn`` comes."""
        patience = PATIENCE * expiry_of(message) - seconds_missing(message, turn)
        deadline = time.monotonic() + patience
        with self._lock:
            heapq.heappush(self._waiting, (deadline, next(self._number), message, turn))

    def look(self) -> None:
        """Pass over the gaps whose time is up; errors are logged."""
        while due := self._take(time.monotonic()):
            _, _, message, turn = due
            try:
                close_old_connections()
                self._end_gap(message, turn)
            except Exception:
                logger.exception("The gap before the end of %s stays.", message.reply_channel)

    def hand_over(self) -> None:
        """Let other workers take care of what is watched here; errors are logged."""
        while due := self._take(float("inf")):
            try:
                give_away(due[2])
            except Exception:
                logger.exception("Nobody watches the end of %s.", due[2].reply_channel)

    def _end_gap(self, message: Message, turn: int) -> None:
        new_turn = current_turn(message)
        still_parked = pass_over(message, turn) if new_turn == turn else keep_parked(message)
        # There may be another gap. (A turn that went back is that of a socket that has ended.)
        if still_parked and new_turn >= turn:
            self.add(message, current_turn(message))

    def _take(self, now: float) -> tuple[float, int, Message, int] | None:
        with self._lock:
            if self._waiting and self._waiting[0][0] <= now:
                return heapq.heappop(self._waiting)
        return None


watch = Watch()
