"""The layer on Redis; ``common.lua`` tells how everything is kept there."""

from .cluster import RedisClusterChannelLayer
from .layer import RedisChannelLayer
from .sentinel import RedisSentinelChannelLayer

__all__ = ["RedisChannelLayer", "RedisClusterChannelLayer", "RedisSentinelChannelLayer"]
