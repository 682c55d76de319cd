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
from typing import NamedTuple

from django.db import close_old_connections

from ..message import Message
from .gaps import expiry_of, give_away, keep_parked, pass_over
from .parking import current_turn

logger = logging.getLogger("django.channels")

#: The part of the layer's expiry that a disconnect waits: it must not expire itself.
PATIENCE = 0.8

#: Looks that find nothing parked before it is given up. It may just be in the hands of whoever
#: takes the parked messages and parks them again.
EMPTY_LOOKS = 2


class Vigil(NamedTuple):
    """One watched disconnect: when to look next, and whose turn it was at the last look."""

    deadline: float
    number: int
    message: Message
    turn: int
    looks_left: int


class Watch:
    """The parked disconnects of this process; safe with threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._vigils: list[Vigil] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._vigils)

    def add(self, message: Message, turn: int, looks_left: int = EMPTY_LOOKS) -> None:
        """Watch ``message``, which has just been parked until that of ``turn`` comes."""
        deadline = time.monotonic() + PATIENCE * expiry_of(message)
        with self._lock:
            vigil = Vigil(deadline, next(self._numbers), message, turn, looks_left)
            heapq.heappush(self._vigils, vigil)

    def look(self) -> None:
        """Pass over the gaps whose time is up; errors are logged."""
        while vigil := self._take(time.monotonic()):
            try:
                close_old_connections()
                self._end_gap(vigil)
            except Exception:
                reply_channel = vigil.message.reply_channel
                logger.exception("The gap before the end of %s stays.", reply_channel)

    def hand_over(self) -> None:
        """Let other workers take care of what is watched here; errors are logged."""
        while vigil := self._take(float("inf")):
            try:
                give_away(vigil.message)
            except Exception:
                logger.exception("Nobody watches the end of %s.", vigil.message.reply_channel)

    def _end_gap(self, vigil: Vigil) -> None:
        message, turn = vigil.message, current_turn(vigil.message)
        if turn < vigil.turn:
            return  # Turns do not go back: the socket has ended.
        is_gap = turn == vigil.turn
        still_parked = pass_over(message, turn) if is_gap else keep_parked(message)
        looks_left = EMPTY_LOOKS if still_parked else vigil.looks_left - 1
        if looks_left:
            # There may be another gap.
            self.add(message, current_turn(message), looks_left)

    def _take(self, now: float) -> Vigil | None:
        with self._lock:
            if self._vigils and self._vigils[0].deadline <= now:
                return heapq.heappop(self._vigils)
        return None


watch = Watch()
