"""The old name of ``channels.test.http`` and ``channels.test.websocket``."""

from ..test.http import HttpClient
from ..test.websocket import WSClient

__all__ = ["HttpClient", "WSClient"]
