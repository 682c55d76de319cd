"""Message-driven Django: WebSockets, long-lived HTTP and background work from plain views."""

from .asgi import DEFAULT_CHANNEL_LAYER, channel_layers
from .channel import Channel, Group
from .routing import include, route, route_class
from .version import __version__

__all__ = [
    # Sending
    "Channel",
    "Group",
    # Receiving
    "route",
    "route_class",
    "include",
    # Channel layers
    "channel_layers",
    "DEFAULT_CHANNEL_LAYER",
    "__version__",
]
