"""Tools for testing projects that use channels."""

from .base import ChannelTestCase, Client, TransactionChannelTestCase, apply_routes
from .http import HttpClient
from .liveserver import ChannelLiveServerTestCase
from .websocket import WSClient

__all__ = [  # noqa: RUF022
    # Test cases
    "ChannelTestCase",
    "TransactionChannelTestCase",
    "ChannelLiveServerTestCase",
    # Clients, and the routes they meet
    "Client",
    "WSClient",
    "HttpClient",
    "apply_routes",
]
