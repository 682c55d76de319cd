"""The messages of one connection on their way to the layer: one at a time, none half sent."""

from __future__ import annotations

import asyncio

from ..types import Content
from .layer_io import LayerIO
from .outbox import Outcome, Parcel


class Feed:
    """Sends one connection's messages in order, and counts those that were delivered.

    One that may have arrived counts as well: better a gap in the order, which readers pass
    over, than two messages of the same order, or a connection whose end nobody hears of.

    A cancelled ``put`` lets its message go on; ``settle`` waits until its fate is known, so
    that what is sent last knows what came before it.
    """

    def __init__(self, io: LayerIO) -> None:
        self.delivered = 0
        self._io = io
        self._under_way: Parcel | None = None

    async def put(self, channel: str, message: Content) -> Outcome:
        """Send ``message`` once, after what is under way."""
        await self.settle()
        self._io.pace.note(self)
        self._under_way = self._io.post(channel, message)
        return await self._finish(self._under_way)

    async def settle(self) -> None:
        """Wait until no message is under way."""
        while self._under_way is not None:
            await self._finish(self._under_way)

    def end(self) -> None:
        """The connection has ended."""
        self._io.pace.forget(self)

    async def _finish(self, parcel: Parcel) -> Outcome:
        outcome = await parcel.outcome()
        if parcel is self._under_way:
            self._under_way = None
            self.delivered += outcome.may_have_arrived
        return outcome


class Backoff:
    """Growing pauses between attempts, ``patience`` seconds in all (``None``: no end)."""

    #: Seconds of the first pause, and of the longest; each is twice the one before.
    FIRST = 0.02
    LONGEST = 1.0

    def __init__(self, patience: float | None) -> None:
        self._clock = asyncio.get_running_loop().time
        self._end = None if patience is None else self._clock() + patience
        self._pause = self.FIRST

    @property
    def exhausted(self) -> bool:
        """Whether the patience is at its end."""
        return self._end is not None and self._clock() >= self._end

    def next_pause(self) -> float:
        """Seconds to wait before the next attempt."""
        pause = self._pause
        self._pause = min(pause * 2, self.LONGEST)
        if self._end is not None:
            pause = min(pause, max(0.0, self._end - self._clock()))
        return pause

    async def wait(self) -> None:
        """Wait for the next attempt."""
        await asyncio.sleep(self.next_pause())
