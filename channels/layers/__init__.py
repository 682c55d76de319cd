"""The channel layers that come with the library; none of them needs Django."""

from .base import BaseChannelLayer
from .memory import InMemoryChannelLayer

__all__ = ["BaseChannelLayer", "InMemoryChannelLayer"]
