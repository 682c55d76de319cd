"""How closely batches follow each other: under load, messages get time to gather."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

#: Seconds for which connections and their messages are counted before the pace is set anew.
STRETCH = 0.02

#: The part of the time from one message of a connection to its next that each of the two
#: directions may take up with gathering.
SHARE = 1 / 6

#: Seconds from one batch to the next at the most: what a message may be late by, however many
#: connections there are.
LONGEST = 0.003

#: Seconds from one batch to the next at the least: the timers of event loops are no finer.
SHORTEST = 0.001

#: Messages that must be expected to gather: fewer are not worth a timer.
WORTH = 3


class Pace:
    """Says how long one batch of messages follows the other, in either direction.

    A batch costs us and the layer nearly the same, whether it holds one message or ten. So when
    many connections send, messages are left some time to gather, as network cards leave it to
    packets before they interrupt, and so are the replies.

    Who waits for each reply before sending again sends less for that. How long such a
    conversation takes for one message follows from how many connections send how many messages:
    with 50 that send 5 in a millisecond, it is 10 milliseconds. Gathering may take a part of it
    only, ``SHARE``. So fewer than ``WORTH / SHARE`` connections (18) never wait, however quick
    they are, nor does anybody while little goes on.

    ``clock`` gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._began = clock()
        self._messages = 0
        self._talking: set[object] = set()
        self._interval = 0.0

    def __repr__(self) -> str:
        return f"<Pace interval={self.interval:.4f} talking={len(self._talking)}>"

    @property
    def interval(self) -> float:
        """Seconds from one batch to the next; 0 when there is no load."""
        is_valid = self.clock() < self._began + 2 * STRETCH
        return self._interval if is_valid else 0.0

    def note(self, connection: object) -> None:
        """Count a message from ``connection``."""
        now = self.clock()
        if now >= self._began + STRETCH:
            self._interval = self._judge(now - self._began)
            self._began = now
            self._messages = 0
            self._talking.clear()
        self._messages += 1
        self._talking.add(connection)

    def forget(self, connection: object) -> None:
        """Leave ``connection`` out, as it has ended: who comes after it does not add to it."""
        self._talking.discard(connection)

    def _judge(self, seconds: float) -> float:
        rate = max(self._messages, 1) / seconds
        interval = min(len(self._talking) / rate * SHARE, LONGEST)
        return interval if interval >= SHORTEST and interval * rate >= WORTH else 0.0


class Gap:
    """What one direction leaves between its batches, as ``pace`` says."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._end = 0.0

    async def wait(self) -> None:
        """Wait until the next batch may follow."""
        seconds = self._end - self._pace.clock()
        if seconds > 0:
            await asyncio.sleep(seconds)

    def begin(self) -> None:
        """A batch goes now."""
        self._end = self._pace.clock() + self._pace.interval
