"""Where project code sends messages: channels and groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from .asgi import DEFAULT_CHANNEL_LAYER, channel_layers
from .layers.base import BaseChannelLayer
from .layers.codec import Packed, encode
from .pending import Sender, pending_message_store
from .types import Content, Sending


class Destination:
    """What channels and groups share: a name, on a layer."""

    def __init__(
        self,
        name: str | bytes,
        alias: str = DEFAULT_CHANNEL_LAYER,
        channel_layer: Any = None,
    ) -> None:
        self.name = name.decode("ascii") if isinstance(name, bytes) else name
        self._alias = alias
        self._channel_layer = channel_layer
        if channel_layer is None and alias not in channel_layers:
            raise channel_layers.unknown(alias)

    @property
    def channel_layer(self) -> Any:
        """The layer that was given, else what is configured under the alias by now."""
        if self._channel_layer is None:
            return channel_layers[self._alias]
        return self._channel_layer

    @channel_layer.setter
    def channel_layer(self, channel_layer: Any) -> None:
        self._channel_layer = channel_layer

    def _settled_layer(self) -> Any:
        """The layer, once all that was sent to it in this thread before has gone out."""
        layer = self.channel_layer
        pending_message_store.send_delayed(layer)
        return layer

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class Channel(Destination):
    """A channel to send messages to.

    Arguments: the channel's name, the alias of the layer it is on, or the layer itself, which
    wins. Raises ``KeyError`` for an alias that is not configured.
    """

    #: ``sending`` takes ``Packed`` in place of a dict; those of subclasses need not.
    takes_packed: ClassVar[bool] = True

    def send(self, content: Content, immediately: bool = False) -> None:
        """Send ``content``, a dict.

        In a consumer it goes out when the consumer ends, unless ``immediately`` is true. Raises
        ``TypeError`` for what is no dict or holds a value that cannot travel, and, when it is
        sent at once, the layer's ``ChannelFull`` and ``MessageTooLarge``.
        """
        check_content(self, content)
        if immediately or not pending_message_store.active:
            self._settled_layer().send(self.name, content)
        else:
            BaseChannelLayer.check_channel(self.name)
            hold(self, content)

    def sending(self, content: Mapping[str, Any]) -> Sending:
        """What a layer is given to send ``content`` together with others."""
        return Sending(self.name, content)


class Group(Destination):
    """A set of channels to send one message to.

    Arguments: the group's name, the alias of the layer it is on, or the layer itself, which
    wins. Raises ``KeyError`` for an alias that is not configured.
    """

    #: As with channels.
    takes_packed: ClassVar[bool] = True

    def add(self, channel: Channel | str) -> None:
        """Make ``channel`` a member, at once; again is harmless and renews the membership."""
        self._settled_layer().group_add(self.name, name_of(channel))

    def discard(self, channel: Channel | str) -> None:
        """End the membership of ``channel``, at once; harmless when it is no member."""
        self._settled_layer().group_discard(self.name, name_of(channel))

    def channels(self) -> list[str]:
        """The names of the members."""
        return list(self._settled_layer().group_channels(self.name))

    def send(self, content: Content, immediately: bool = False) -> None:
        """Send ``content``, a dict, to every member; members whose channels are full miss it.

        In a consumer it goes out when the consumer ends, unless ``immediately`` is true. Raises
        ``TypeError`` for what is no dict or holds a value that cannot travel.
        """
        check_content(self, content)
        if immediately or not pending_message_store.active:
            self._settled_layer().send_group(self.name, content)
        else:
            BaseChannelLayer.check_group(self.name)
            hold(self, content)

    def sending(self, content: Mapping[str, Any]) -> Sending:
        """What a layer is given to send ``content`` together with others."""
        return Sending(self.name, content, to_group=True)


def name_of(channel: Channel | str) -> str:
    return channel.name if isinstance(channel, Channel) else channel


def check_content(sender: Destination, content: object) -> None:
    if not isinstance(content, dict):
        raise TypeError(
            f"{sender!r}.send() takes a dict, not {type(content).__name__}: {content!r}."
        )


def hold(sender: Sender, content: Content) -> None:
    """Keep it for later as it travels, so that errors show here and later changes do not."""
    pending_message_store.append(sender, Packed(encode(content)))
