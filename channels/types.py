"""The vocabulary of types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

#: What a message holds: text keys, and values that the layers' codec carries.
Content = dict[str, Any]

#: ``consumer(message, **kwargs)``; its return value is ignored.
Consumer = Callable[..., Any]

#: What ``receive`` gives: a channel name and a message, or two times ``None``.
Received = tuple[str, Content] | tuple[None, None]


class Sending(NamedTuple):
    """One of several sends: ``name`` is a channel's, or with ``to_group`` a group's.

    ``message`` is a dict; for layers with ``takes_packed`` it may also be a
    ``channels.layers.codec.Packed``, a mapping that has been encoded before.
    """

    name: str
    message: Mapping[str, Any]
    to_group: bool = False


class Layer(Protocol):
    """What every channel layer offers, third-party ones included."""

    @property
    def ChannelFull(self) -> type[Exception]: ...

    def send(self, channel: str, message: Content) -> None: ...

    def receive(self, channels: Iterable[str], block: bool = False) -> Received: ...

    def new_channel(self, pattern: str) -> str: ...
