"""The old name of ``channels.test.websocket``."""

from ..test.websocket import WSClient

__all__ = ["WSClient"]
