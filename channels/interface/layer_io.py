"""Any channel layer, from coroutines: its own coroutines where it has them, else threads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..exceptions import MessageTooLarge
from ..types import Content, Layer, Received, Sending
from ..utils import most_derived
from .outbox import Limits, Outbox, Outcome, Parcel
from .pace import Gap, Pace

logger = logging.getLogger("channels.interface")

#: Threads per event loop that send for layers without coroutines; a send is one short round
#: trip, so that few threads carry many connections.
SEND_THREADS = 8

#: A layer that takes several messages at once gets one batch at a time: while it is under way,
#: the next one grows. A second one beside it would only make both smaller.
BATCHES = Limits(messages=100, lanes=1)

#: Any other gets its messages side by side: as many as a layer commonly has connections.
SINGLES = Limits(messages=1, lanes=100)

#: Channels, and a message that all of them get.
Delivery = tuple[list[str], Content]


class LayerIO:
    """One layer as one event loop uses it.

    The method that is called is the one that the layer's most derived class overrides, so that
    a subclass that changes ``send`` or ``receive_many`` only is honoured.

    What goes in batches keeps to ``pace``, which is to be told who sends.
    """

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self._full = layer.ChannelFull
        self._too_large = getattr(layer, "MessageTooLarge", MessageTooLarge)
        self._send_name = most_derived(layer, ["send_many_async", "send_async", "send"])
        self._receive_name = most_derived(
            layer, ["receive_batch_async", "receive_async", "receive", "receive_many"]
        )
        self._makes_names_itself = most_derived(layer, ["new_channel"]) is not None
        self._failing: type[Exception] | None = None
        self.pace = Pace()
        self._receive_gap = Gap(self.pace)
        if self._send_name == "send_many_async":
            self._outbox = Outbox(self._deliver, BATCHES, Gap(self.pace))
        else:
            self._outbox = Outbox(self._deliver, SINGLES)
        self._senders = ThreadPoolExecutor(SEND_THREADS, "channels-send")
        self._receivers = ThreadPoolExecutor(1, "channels-receive")

    def post(self, channel: str, message: Content) -> Parcel:
        """Send ``message`` once; what a layer does is never raised, but a failure logged."""
        return self._outbox.post(channel, message)

    def post_along(self, channel: str, message: Content) -> None:
        """Send ``message`` with others, as far as the layer can, when nobody waits for it."""
        self._outbox.post_along(channel, message)

    async def put(self, channel: str, message: Content) -> Outcome:
        """What ``post`` does, until it is known what became of ``message``."""
        return await self.post(channel, message).outcome()

    async def settle(self) -> None:
        """Wait until no message is on its way."""
        await self._outbox.settle()

    async def receive(self, channels: Sequence[str]) -> list[Delivery]:
        """Wait for messages on ``channels``, which must not be altered; now and then none."""
        if self._receive_name == "receive_batch_async":
            await self._receive_gap.wait()
            batch: list[Delivery] = await self._call("receive_batch_async", channels)
            self._receive_gap.begin()
            return batch
        received: Received
        if self._receive_name == "receive_async":
            received = await self._call("receive_async", channels)
        else:
            method = getattr(self.layer, self._receive_name or "receive")
            received = await self._in_thread(self._receivers, method, channels, True)
        channel, message = received
        return [] if channel is None or message is None else [([channel], message)]

    async def new_channel(self, pattern: str) -> str | None:
        """An unused single-reader name; ``None``, and a logged failure, when there is none."""
        try:
            if not self._makes_names_itself:
                return self.layer.new_channel(pattern)
            name: str = await self._in_thread(self._senders, self.layer.new_channel, pattern)
        except Exception as error:
            self._log_failure(pattern, error)
            return None
        return name

    @property
    def group_expiry(self) -> float:
        """Seconds that a membership lasts."""
        return float(getattr(self.layer, "group_expiry", 86400))

    @property
    def can_refresh_groups(self) -> bool:
        """Whether memberships can be prolonged at all."""
        return most_derived(self.layer, ["group_refresh"]) is not None

    async def refresh_groups(self, channels: Iterable[str]) -> None:
        """Prolong the memberships of ``channels``; raises what the layer raises."""
        method = getattr(self.layer, "group_refresh")  # noqa: B009
        await self._in_thread(self._senders, method, list(channels))

    def close(self) -> None:
        """Let the threads end, without waiting for them."""
        self._senders.shutdown(wait=False)
        self._receivers.shutdown(wait=False)

    def _log_failure(self, channel: str, error: Exception) -> None:
        """Log an outage once, not once per connection."""
        known = self._failing is type(error)
        self._failing = type(error)
        level = logging.DEBUG if known else logging.ERROR
        logger.log(level, "Sending to %s failed: %s: %s", channel, type(error).__name__, error)

    async def _deliver(self, parcels: list[Parcel]) -> None:
        sendings = [parcel.sending for parcel in parcels]
        try:
            fates = list(zip(parcels, await self._send(sendings), strict=True))
        except Exception as error:
            fates = [(parcel, error) for parcel in parcels]
        for parcel, failure in fates:
            parcel.settle(self._judge(parcel.sending.name, failure))

    def _judge(self, channel: str, error: Exception | None) -> Outcome:
        if error is None:
            self._failing = None
            return Outcome.SENT
        if isinstance(error, self._full):
            return Outcome.FULL
        if isinstance(error, self._too_large):
            logger.warning("A message to %s is too large: %s", channel, error)
            return Outcome.TOO_LARGE
        self._log_failure(channel, error)
        arrived = getattr(error, "may_have_arrived", False)
        return Outcome.UNKNOWN if arrived else Outcome.FAILED

    async def _send(self, sendings: Sequence[Sending]) -> Sequence[Exception | None]:
        """What became of each; raises what became of all."""
        if self._send_name == "send_many_async":
            outcomes: Sequence[Exception | None]
            outcomes = await self._call("send_many_async", sendings)
            return outcomes
        for channel, message, _ in sendings:
            if self._send_name == "send_async":
                await self._call("send_async", channel, message)
            else:
                await self._in_thread(self._senders, self.layer.send, channel, message)
        return [None] * len(sendings)

    def _call(self, name: str, *args: object) -> Awaitable[Any]:
        """Call a coroutine method that only some layers have."""
        return getattr(self.layer, name)(*args)  # type: ignore[no-any-return]

    async def _in_thread(self, executor: ThreadPoolExecutor, method: Any, *args: object) -> Any:
        return await asyncio.get_running_loop().run_in_executor(executor, method, *args)
