"""The client's name in early releases."""

from .websocket import WSClient

__all__ = ["HttpClient"]


class HttpClient(WSClient):
    """``WSClient`` under the name that it had first."""
