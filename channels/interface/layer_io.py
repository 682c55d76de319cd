"""Any channel layer, from coroutines: its own coroutines where it has them, else threads."""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..exceptions import MessageTooLarge
from ..types import Content, Layer, Received
from ..utils import most_derived

logger = logging.getLogger("channels.interface")

#: Threads per event loop that send for layers without coroutines; a send is one short round
#: trip, so that few threads carry many connections.
SEND_THREADS = 8


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


class LayerIO:
    """One layer as one event loop uses it.

    The method that is called is the one that the layer's most derived class overrides, so that
    a subclass that changes ``send`` or ``receive_many`` only is honoured.
    """

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self._full = layer.ChannelFull
        self._too_large = getattr(layer, "MessageTooLarge", MessageTooLarge)
        self._send_name = most_derived(layer, ["send_async", "send"])
        self._receive_name = most_derived(layer, ["receive_async", "receive", "receive_many"])
        self._makes_names_itself = most_derived(layer, ["new_channel"]) is not None
        self._failing: type[Exception] | None = None
        self._senders = ThreadPoolExecutor(SEND_THREADS, "channels-send")
        self._receivers = ThreadPoolExecutor(1, "channels-receive")

    async def put(self, channel: str, message: Content) -> Outcome:
        """Send ``message`` once; never raises for what a layer does, but logs a failure."""
        try:
            await self._send(channel, message)
        except self._full:
            return Outcome.FULL
        except self._too_large as error:
            logger.warning("A message to %s is too large: %s", channel, error)
            return Outcome.TOO_LARGE
        except Exception as error:
            self._log_failure(channel, error)
            arrived = getattr(error, "may_have_arrived", False)
            return Outcome.UNKNOWN if arrived else Outcome.FAILED
        self._failing = None
        return Outcome.SENT

    async def receive(self, channels: Sequence[str]) -> Received:
        """Wait for a message on ``channels``; now and then gives two times ``None``."""
        received: Received
        if self._receive_name == "receive_async":
            received = await getattr(self.layer, "receive_async")(channels)  # noqa: B009
        else:
            method = getattr(self.layer, self._receive_name or "receive")
            received = await self._in_thread(self._receivers, method, channels, True)
        return received

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

    async def _send(self, channel: str, message: Content) -> None:
        if self._send_name == "send_async":
            await getattr(self.layer, "send_async")(channel, message)  # noqa: B009
        else:
            await self._in_thread(self._senders, self.layer.send, channel, message)

    async def _in_thread(self, executor: ThreadPoolExecutor, method: Any, *args: object) -> Any:
        return await asyncio.get_running_loop().run_in_executor(executor, method, *args)
