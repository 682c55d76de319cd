"""What every layer of ours has in common: the contract, and capacities."""

from __future__ import annotations

import asyncio
import fnmatch
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, cast

from .. import exceptions
from ..types import Content, Received, Sending
from . import codec, names
from .names import queue_of, random_name

#: Seconds that a blocking receive waits before it returns with nothing.
BLOCK_SECONDS = 1.0

#: Seconds that a message or a membership may live: ten years, which every store can count.
LONGEST_LIFETIME = 10 * 365 * 86400

CapacityPatterns = Mapping[str | re.Pattern[str], int]


class BaseChannelLayer:
    """The contract of a channel layer, and what its implementations share.

    Arguments of the constructor (all layers of ours):

    ``expiry``
        Seconds after which an unread message is gone.
    ``group_expiry``
        Seconds that a membership lasts after the last ``group_add``.
    ``capacity``
        Messages that a channel holds before ``send`` raises ``ChannelFull``.
    ``channel_capacity``
        Other capacities: a dict from globs or compiled patterns, matched against the channel's
        name (up to ``!`` for process-specific ones), to numbers; the first match wins.
    ``max_message_size``
        Bytes that an encoded message may have, ``None`` for no limit.

    A value that is no number is a ``ValueError``.
    """

    #: What this very class defines is the contract, no implementation; see ``most_derived``.
    is_contract: ClassVar[bool] = True

    #: True when other processes cannot see the messages of this layer.
    local_only: ClassVar[bool] = False
    #: True where ``codec.Packed`` may stand for the dicts of ``Sending``, which are encoded then
    #: already; a subclass that changes what is done with messages must say so again.
    takes_packed: ClassVar[bool] = False
    extensions: ClassVar[list[str]] = ["groups", "flush", "statistics", "async"]

    ChannelFull = exceptions.ChannelFull
    MessageTooLarge = exceptions.MessageTooLarge

    def __init__(
        self,
        expiry: float = 60,
        group_expiry: float = 86400,
        capacity: int = 1000,
        channel_capacity: CapacityPatterns | None = None,
        max_message_size: int | None = None,
    ) -> None:
        for name, value in (
            ("expiry", expiry),
            ("group_expiry", group_expiry),
            ("capacity", capacity),
            ("max_message_size", 0 if max_message_size is None else max_message_size),
        ):
            _check_number(name, value)
        for name, value in (("expiry", expiry), ("group_expiry", group_expiry)):
            _check_lifetime(name, value)
        _check_whole("capacity", capacity)
        self.expiry = expiry
        self.group_expiry = group_expiry
        self.capacity = capacity
        self.channel_capacity = _compile_capacities(channel_capacity or {})
        self.max_message_size = max_message_size

    def send(self, channel: str, message: Content) -> None:
        """Put ``message`` on ``channel``; never waits for room.

        Raises ``ChannelFull``, ``MessageTooLarge``, and ``TypeError`` for a bad name or a value
        that cannot travel. The caller's dict is neither altered nor kept.
        """
        raise NotImplementedError

    async def send_async(self, channel: str, message: Content) -> None:
        """The same as ``send``, without blocking the event loop."""
        raise NotImplementedError

    def send_many(self, sendings: Sequence[Sending]) -> list[Exception | None]:
        """Send several messages, in their order; a failure does not keep the others back.

        Returns for each of them what ``send`` or ``send_group`` would have raised, or ``None``.
        What follows a ``ChannelFull`` for the same queue is ``ChannelFull`` too, so that the
        refused ones can be sent again without a change of their order.
        """
        outcomes: list[Exception | None] = []
        full: dict[str, Exception] = {}
        for sending in sendings:
            refusal = None if sending.to_group else full.get(queue_of(sending.name))
            outcome = refusal or self._try_to_send(sending)
            if isinstance(outcome, self.ChannelFull):
                full[queue_of(sending.name)] = outcome
            outcomes.append(outcome)
        return outcomes

    def _try_to_send(self, sending: Sending) -> Exception | None:
        try:
            message = cast(Content, sending.message)
            (self.send_group if sending.to_group else self.send)(sending.name, message)
        except Exception as error:
            return error
        return None

    async def send_many_async(self, sendings: Sequence[Sending]) -> list[Exception | None]:
        """The same as ``send_many``, without blocking the event loop."""
        return await asyncio.to_thread(self.send_many, sendings)

    def turn(
        self, sendings: Sequence[Sending], channels: Iterable[str]
    ) -> tuple[list[Exception | None], Received]:
        """A worker's turn: ``send_many``, and then a blocking ``receive``.

        Returns the outcomes of the one and what the other received. What it raises leaves open
        what became of the sendings: they count as sent.
        """
        return self.send_many(sendings), self.receive(channels, block=True)

    def receive(self, channels: Iterable[str], block: bool = False) -> Received:
        """Take one message off the first of ``channels`` that has any.

        Returns ``(channel, message)``, or ``(None, None)``. With ``block`` it waits for a
        message, about a second at the most. Process-specific channels are named up to and
        including their ``!``.
        """
        raise NotImplementedError

    def receive_many(self, channels: Iterable[str], block: bool = False) -> Received:
        """The old name of ``receive``."""
        return self.receive(channels, block)

    async def receive_async(self, channels: Iterable[str]) -> Received:
        """The same as a blocking ``receive``, without blocking the event loop.

        A cancelled call loses no message.
        """
        raise NotImplementedError

    async def receive_batch_async(
        self, channels: Iterable[str]
    ) -> list[tuple[list[str], Content]]:
        """Wait like ``receive_async``, and take what a process can take at once, in its order.

        Returns pairs of channels and a message that all of them get, which must not be altered;
        an empty list when nothing came. A cancelled call loses no message.
        """
        channel, message = await self.receive_async(channels)
        return [] if channel is None or message is None else [([channel], message)]

    def new_channel(self, pattern: str) -> str:
        """An unused single-reader name that starts with ``pattern``, which ends in ``?``."""
        if not isinstance(pattern, str) or not pattern.endswith("?"):
            raise TypeError(
                f"new_channel() takes a pattern that ends in '?', not {pattern!r}; names of "
                "process-specific channels ('!') are made by the process that reads them."
            )
        name = pattern + random_name()
        self.check_channel(name)
        return name

    def group_add(self, group: str, channel: str) -> None:
        """Make ``channel`` a member of ``group`` for ``group_expiry`` seconds from now."""
        raise NotImplementedError

    def group_discard(self, group: str, channel: str) -> None:
        """End the membership of ``channel`` in ``group``, if there is one."""
        raise NotImplementedError

    def group_channels(self, group: str) -> list[str]:
        """The members of ``group``."""
        raise NotImplementedError

    def group_refresh(self, channels: Iterable[str]) -> None:
        """Start the ``group_expiry`` of every membership of ``channels`` anew."""
        raise NotImplementedError

    def send_group(self, group: str, message: Content) -> None:
        """Put ``message`` on every member of ``group``; members that are full miss it."""
        raise NotImplementedError

    def flush(self) -> None:
        """Empty the layer, for every client: messages, groups and statistics."""
        raise NotImplementedError

    def global_statistics(self) -> dict[str, int]:
        """Figures of the whole layer: ``messages_count`` and ``channel_full_count``."""
        raise NotImplementedError

    def channel_statistics(self, channel: str) -> dict[str, float]:
        """Figures of one channel.

        ``messages_count`` (sent so far), ``messages_pending``, ``messages_max_age`` (seconds)
        and ``channel_full_count``. Process-specific channels are counted per process, and
        single-reader ones (but for what is pending) per name up to their ``?``.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Give back connections; the layer may be used again afterwards."""

    def encode(self, message: Mapping[str, Any]) -> bytes:
        """``message``, as in a ``Sending``, in the wire format.

        Raises ``TypeError`` for a value that cannot travel, ``MessageTooLarge`` past
        ``max_message_size``.
        """
        data = codec.encode(message)
        if self.max_message_size is not None and len(data) > self.max_message_size:
            raise self.MessageTooLarge(
                f"The message has {len(data)} bytes when encoded, the layer takes "
                f"{self.max_message_size}: send less, or raise 'max_message_size' in the "
                "layer's CONFIG."
            )
        return data

    def get_capacity(self, channel: str) -> int:
        """How many messages the queue of ``channel`` holds."""
        queue = queue_of(channel).removesuffix("!")
        for pattern, capacity in self.channel_capacity:
            if pattern.match(queue):
                return capacity
        return self.capacity

    def channel_full(self, channel: str, depth: int) -> exceptions.ChannelFull:
        """The error for a ``channel`` that has ``depth`` messages waiting."""
        return self.ChannelFull(
            f"Channel {channel!r} is full: {depth} messages wait in {queue_of(channel)!r}, whose "
            f"capacity is {self.get_capacity(channel)}. Start more readers, or raise 'capacity' "
            "or 'channel_capacity' in the layer's CONFIG."
        )

    check_channel = staticmethod(names.check_channel)
    check_group = staticmethod(names.check_group)
    check_receive_channel = staticmethod(names.check_receive_channel)

    @classmethod
    def check_receive_channels(cls, channels: Iterable[str]) -> list[str]:
        """``channels`` as a list; ``TypeError`` unless all of them can be received from."""
        if isinstance(channels, str | bytes):
            raise TypeError(
                f"receive() takes a list of names, not one name: write [{channels!r}]."
            )
        checked = list(channels)
        for name in checked:
            cls.check_receive_channel(name)
        return checked


def _check_number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number, not {value!r}.")


def _check_whole(name: str, value: float) -> None:
    if math.isfinite(value) and value != int(value):
        raise ValueError(f"{name} must be a whole number, not {value!r}.")


def _check_lifetime(name: str, seconds: float) -> None:
    if not 0 < seconds <= LONGEST_LIFETIME:
        raise ValueError(
            f"{name} must be more than 0 and at most {LONGEST_LIFETIME} seconds, not {seconds!r}."
        )


def _compile_capacities(patterns: CapacityPatterns) -> list[tuple[re.Pattern[str], int]]:
    for pattern, limit in patterns.items():
        _check_number(f"channel_capacity[{pattern!r}]", limit)
        _check_whole(f"channel_capacity[{pattern!r}]", limit)
    return [
        (re.compile(fnmatch.translate(pattern)) if isinstance(pattern, str) else pattern, limit)
        for pattern, limit in patterns.items()
    ]
