"""The message that a consumer gets."""

from __future__ import annotations

import copy
from collections.abc import ItemsView, KeysView, ValuesView
from typing import Any

from .channel import Channel
from .pending import pending_message_store
from .types import Content

#: The store of held sends is imported from here by 1.x code.
__all__ = ["Message", "pending_message_store"]


class Message:
    """A layer's dict, with the channels it came from and answers to.

    Arguments: the dict, the name of the channel it was received on (or ``None``), and the layer
    it came from (``None`` for the default one).
    """

    def __init__(self, content: Content, channel_name: str | None, channel_layer: Any) -> None:
        self.content = content
        self.channel_layer = channel_layer
        self.channel = self._channel(channel_name)
        self.reply_channel = self._channel(content.get("reply_channel"))

    def _channel(self, name: str | None) -> Channel | None:
        return Channel(name, channel_layer=self.channel_layer) if name else None

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.content[key] = value

    def __contains__(self, key: object) -> bool:
        return key in self.content

    def get(self, key: str, default: Any = None) -> Any:
        """The value of ``key``, or ``default``."""
        return self.content.get(key, default)

    def keys(self) -> KeysView[str]:
        """The content's keys."""
        return self.content.keys()

    def values(self) -> ValuesView[Any]:
        """The content's values."""
        return self.content.values()

    def items(self) -> ItemsView[str, Any]:
        """The content's items."""
        return self.content.items()

    def copy(self) -> Message:
        """A message whose content may be altered without altering this one's."""
        return Message(
            copy.deepcopy(self.content),
            self.channel.name if self.channel else None,
            self.channel_layer,
        )

    def __repr__(self) -> str:
        return f"<Message on {self.channel}: {', '.join(self.content)}>"
