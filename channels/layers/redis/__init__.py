"""The layer on Redis; ``common.lua`` tells how everything is kept there."""

from .layer import RedisChannelLayer

__all__ = ["RedisChannelLayer"]
