"""The old name of ``channels.test``."""

import warnings

from ..test import (
    ChannelLiveServerTestCase,
    ChannelTestCase,
    Client,
    HttpClient,
    TransactionChannelTestCase,
    WSClient,
    apply_routes,
)

__all__ = [
    "ChannelLiveServerTestCase",
    "ChannelTestCase",
    "Client",
    "HttpClient",
    "TransactionChannelTestCase",
    "WSClient",
    "apply_routes",
]

warnings.warn(
    "channels.tests is now channels.test; the old name will go away.",
    DeprecationWarning,
    stacklevel=2,
)
