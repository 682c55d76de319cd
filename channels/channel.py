"""Where project code sends messages: channels and groups."""

from __future__ import annotations

from typing import Any

from .asgi import DEFAULT_CHANNEL_LAYER, channel_layers
from .layers.base import BaseChannelLayer
from .layers.codec import decode, encode
from .pending import Sender, pending_message_store
from .types import Content


class Channel:
    """A channel to send messages to.

    Arguments: the channel's name, the alias of the layer it is on, or the layer itself, which
    wins.
    """

    def __init__(
        self,
        name: str | bytes,
        alias: str = DEFAULT_CHANNEL_LAYER,
        channel_layer: Any = None,
    ) -> None:
        self.name = as_ascii(name)
        self.channel_layer = channel_layers[alias] if channel_layer is None else channel_layer

    def send(self, content: Content, immediately: bool = False) -> None:
        """Send ``content``, a dict.

        In a consumer it goes out when the consumer ends, unless ``immediately`` is true. Raises
        ``TypeError`` for what is no dict or holds a value that cannot travel, and, when it is
        sent at once, the layer's ``ChannelFull`` and ``MessageTooLarge``.
        """
        check_content(self, content)
        if immediately or not pending_message_store.active:
            self.channel_layer.send(self.name, content)
        else:
            BaseChannelLayer.check_channel(self.name)
            hold(self, content)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Channel {self.name}>"


class Group:
    """A set of channels to send one message to.

    Arguments: the group's name, the alias of the layer it is on, or the layer itself, which
    wins.
    """

    def __init__(
        self,
        name: str | bytes,
        alias: str = DEFAULT_CHANNEL_LAYER,
        channel_layer: Any = None,
    ) -> None:
        self.name = as_ascii(name)
        self.channel_layer = channel_layers[alias] if channel_layer is None else channel_layer

    def add(self, channel: Channel | str) -> None:
        """Make ``channel`` a member, at once; again is harmless and renews the membership."""
        self.channel_layer.group_add(self.name, name_of(channel))

    def discard(self, channel: Channel | str) -> None:
        """End the membership of ``channel``, at once; harmless when it is no member."""
        self.channel_layer.group_discard(self.name, name_of(channel))

    def channels(self) -> list[str]:
        """The names of the members."""
        return list(self.channel_layer.group_channels(self.name))

    def send(self, content: Content, immediately: bool = False) -> None:
        """Send ``content``, a dict, to every member; members whose channels are full miss it.

        In a consumer it goes out when the consumer ends, unless ``immediately`` is true. Raises
        ``TypeError`` for what is no dict or holds a value that cannot travel.
        """
        check_content(self, content)
        if immediately or not pending_message_store.active:
            self.channel_layer.send_group(self.name, content)
        else:
            BaseChannelLayer.check_group(self.name)
            hold(self, content)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Group {self.name}>"


def as_ascii(name: str | bytes) -> str:
    return name.decode("ascii") if isinstance(name, bytes) else name


def name_of(channel: Channel | str) -> str:
    return channel.name if isinstance(channel, Channel) else channel


def check_content(sender: Channel | Group, content: object) -> None:
    if not isinstance(content, dict):
        raise TypeError(
            f"{sender!r}.send() takes a dict, not {type(content).__name__}: {content!r}."
        )


def hold(sender: Sender, content: Content) -> None:
    """Keep a copy for later, so that errors show here and later changes do not travel."""
    pending_message_store.append(sender, decode(encode(content)))
