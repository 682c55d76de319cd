"""Messages on their way to the layer: while some are under way, others gather and go together."""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from ..types import Content, Sending
from .pace import Gap
from .sizes import size_of

#: Bytes of messages that go together, unless a single one has more: so few that no layer is
#: kept from its other clients for long.
BATCH_BYTES = 1024 * 1024

#: Seconds that what nobody waits for may wait for other messages to go along with.
RIDE_SECONDS = 0.02


class Outcome(enum.Enum):
    """What became of a message."""

    SENT = "sent"
    FULL = "full"
    TOO_LARGE = "too large"
    FAILED = "failed"
    #: It failed, but may have arrived: it must not be sent again.
    UNKNOWN = "unknown"

    @property
    def may_have_arrived(self) -> bool:
        """Whether somebody may receive the message."""
        return self in (Outcome.SENT, Outcome.UNKNOWN)


class Parcel:
    """A message on its way."""

    def __init__(self, sending: Sending) -> None:
        self.sending = sending
        self.size = size_of(sending.message)
        self._outcome: Outcome | None = None
        self._waiters: list[asyncio.Future[None]] = []

    def __repr__(self) -> str:
        state = self._outcome.value if self._outcome else "on its way"
        return f"<Parcel {self.sending.name} {state}>"

    def settle(self, outcome: Outcome) -> None:
        """Say what became of it; the first word on that is the last."""
        if self._outcome is None:
            self._outcome = outcome
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def outcome(self) -> Outcome:
        """Wait until it is known what became of it; when cancelled, the message goes on."""
        while self._outcome is None:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        return self._outcome


class Limits(NamedTuple):
    """How many messages may go together, and how many such batches may be under way at once."""

    messages: int
    lanes: int


class Outbox:
    """Sends messages in the order in which they come: at once, or together with those that come
    while as many batches are under way as may be, or while ``gap`` lasts.

    ``deliver`` is awaited with each batch, and settles its parcels.
    """

    def __init__(
        self,
        deliver: Callable[[list[Parcel]], Awaitable[None]],
        limits: Limits,
        gap: Gap | None = None,
    ) -> None:
        self._deliver = deliver
        self._limits = limits
        self._gap = gap
        self._waiting: deque[Parcel] = deque()
        self._runs: set[asyncio.Task[None]] = set()
        self._departure: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Outbox waiting={len(self._waiting)} batches={len(self._runs)}>"

    def post(self, channel: str, message: Content) -> Parcel:
        """Send ``message``, which must not be altered any more."""
        parcel = self._add(channel, message)
        self._depart()
        return parcel

    def post_along(self, channel: str, message: Content) -> None:
        """Send ``message`` together with the next one, or by itself after ``RIDE_SECONDS``."""
        self._add(channel, message)
        if self._limits.messages == 1:  # then the next one would have to wait for it
            self._depart()
        elif self._departure is None:
            loop = asyncio.get_running_loop()
            self._departure = loop.call_later(RIDE_SECONDS, self._depart)

    async def settle(self) -> None:
        """Wait until no message waits or is under way."""
        self._depart()
        while self._runs:
            await asyncio.wait(self._runs)

    def _add(self, channel: str, message: Content) -> Parcel:
        parcel = Parcel(Sending(channel, message))
        self._waiting.append(parcel)
        return parcel

    def _depart(self) -> None:
        if self._departure is not None:
            self._departure.cancel()
            self._departure = None
        if self._waiting and len(self._runs) < self._limits.lanes:
            run = asyncio.create_task(self._run())
            self._runs.add(run)
            run.add_done_callback(self._end_run)

    def _end_run(self, run: asyncio.Task[None]) -> None:
        self._runs.discard(run)
        self._depart()  # with what came after its last look

    async def _run(self) -> None:
        """Deliver one batch after the other, until nothing waits."""
        while self._waiting:
            if self._gap is not None:
                await self._gap.wait()
                self._gap.begin()
            batch = self._take()
            try:
                await self._deliver(batch)
            finally:  # whatever happens, nobody waits for ever
                for parcel in batch:
                    parcel.settle(Outcome.UNKNOWN)

    def _take(self) -> list[Parcel]:
        batch = [self._waiting.popleft()]
        size = batch[0].size
        while self._waiting and len(batch) < self._limits.messages:
            size += self._waiting[0].size
            if size > BATCH_BYTES:
                break
            batch.append(self._waiting.popleft())
        return batch
